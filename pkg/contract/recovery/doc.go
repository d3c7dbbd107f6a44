// Package recovery is the vocabulary of a failover run: its mode, where the disks
// go, its steps, goals and phases. Commands, events, stored records and programs
// use these words, and no others.
//
// What it never does: it decides nothing. Which step follows which is
// pkg/core/failoverrun.
package recovery
