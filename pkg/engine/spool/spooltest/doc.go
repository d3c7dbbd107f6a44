// Package spooltest holds the contract every implementation of the spool ports
// keeps, and Mem, an implementation in memory whose link can be cut, whose server
// can be restarted, and whose frames can be lost. It is for tests only.
package spooltest
