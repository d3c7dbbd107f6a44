// Package client is what an operator can do with Tidemark, as functions: what the
// command line, the console and other programs use. It speaks to services over
// the bus, and knows nothing that a service should decide.
//
// What it never does: it writes no specs and no states itself, it prints nothing,
// and it never asks a site that the operator did not name.
package client
