// Package guesttest holds the product to its promises with real guests: a Linux
// machine with PostgreSQL, whose two disks are one protection group, is
// replicated by the product's own binary, killed, and brought back at recovery
// points of its past.
//
// Three judges, none of which knows the product:
//
//   - the guest itself: a check guest boots from the point's disks, and its
//     ledger must be contiguous, with every row that was acknowledged before the
//     point's time, and both disks of one moment (package guest);
//   - QEMU's write log: the bytes of each disk must be what the log's prefix
//     gives (package oracle, and Explain for what a log cannot tell);
//   - the source's own disk files, left behind by the killed guest.
//
// The product is used as an operator uses it: `tidemark up`, `apply`, `job run`,
// `tap attach`, `point list`, `failover`. Nothing here speaks the bus.
//
//	product.go  the running product, and its command line
//	answers.go  what the command line says in JSON
//	source.go   the protected guest: inline, or tapped
//	tap.go      how QEMU is made to tell the product what a tapped guest writes
//	acks.go     which rows were acknowledged when
//	points.go   which points to try, and when the journal has everything
//	image.go    an export's bytes in a file, and as a guest's drive
//	explain.go  whether an image is a state the disk went through
//	trial.go    a test failover to a point, judged by all
//
// The matrix of capture mode and journal mode is run by two guests, inline with
// rollback and tap with roll-forward, five points booted of each; -all runs the
// other two as well:
//
//	go test ./e2e/guesttest -all
//
// TIDEMARK_GUEST=0 skips as package guest says. TIDEMARK_BIN names a binary to
// test; by default one is built.
package guesttest
