// Package spooltest holds the contract every implementation of the spool ports
// keeps, and Mem, an implementation in memory whose link and server can be cut,
// restarted and lost. It is for tests only.
package spooltest
