// Command tidemark is the product's one binary: every service, and the
// operators' command line.
//
// The services know ports only; this is where they are given the bus (wire_*.go,
// one file per service). The command line (cmd_*.go, one file per command)
// speaks the bus and nothing else: it works the same against `tidemark up`, and
// against services that run anywhere.
//
//	main.go       runs the command line and exits; nothing else exits
//	app.go        the root command, its flags, exit codes and errors
//	context.go    how the command line finds the bus
//	config.go     what `up` can be told, with every default
//	supervise.go  keeps the services of a site running
//
// Commands talk to the target site, so that they work with the source dead.
package main
