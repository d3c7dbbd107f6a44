// Package spool is the port of a group's frame stream, as capture and journal
// see it: the nouns that cross it and the two interfaces. It is pure.
//
// The stream keeps frames under their own numbers, without gaps, in order, each
// once. It is a buffer for a lost link, and not safe storage: capture may forget a
// frame only after a Durable. Package bus implements the ports over JetStream,
// package spooltest in memory, and one contract suite runs on both.
package spool
