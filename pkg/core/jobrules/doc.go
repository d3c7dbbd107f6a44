// Package jobrules decides whether a job may be written or deleted, given what is
// stored already and what the sites found at the paths that jobs name. The scheduler, the only writer of jobs, asks it.
//
// What it never does: it checks no document against its schema (package spec
// does), and nothing that only a vCenter knows (package vmpolicy does).
package jobrules
