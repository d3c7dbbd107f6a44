// Package client is what an operator can do with Tidemark, as functions: the command
// line, the console and other programs are built on it. A Client talks to the
// services of one site over its bus, and through that site's links to the sites it
// is linked with.
//
// Errors are cdp.Errors: their kind says what a program can do about them, their
// hint what a person can do, as a command line.
//
// What it never does: it writes no specs and no states, it decides nothing that a
// service owns, and it prints nothing.
package client
