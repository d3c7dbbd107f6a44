// Package node runs a site: it is the one place where the services' ports meet
// the adapters. It starts the site's NATS server, sets up its streams, connects
// every service as its own user, and starts a service again that failed.
//
// One file per service joins its ports to the bus, to Pebble, to NBD or to a
// vCenter, and adapts only: what a service decides is in its own package.
//
// What it never does: it has no command line and prints nothing; it decides
// nothing about jobs.
package node
