// Command tidemark is the product's one binary: every service, and the operators'
// command line.
//
// cmd_*.go has one file per command. `up` and `serve` run services (package node);
// every other command is a use of package client, which talks to the services over
// the bus, so it works the same wherever they run. What is here parses arguments,
// prints, shows progress, and chooses the exit code.
//
//	main.go       runs the command line and exits; nothing else exits
//	app.go        the root command
//	context.go    how the command line finds the bus
//	exit.go       exit codes, and how errors are printed
//	output.go     tables, JSON and YAML
//	meter.go      the progress of long work
//	failover_progress.go, status_*.go  what those commands print
//
// A command talks to one site. Recovery is a matter of the target site, so those
// commands work with the source site gone.
package main
