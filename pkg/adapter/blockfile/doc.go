// Package blockfile makes a block device of a raw disk image or of a block
// device of the machine. It relies on the page cache.
//
// It never creates, truncates or deletes a file, and never interprets what is
// on a disk.
//
// The package needs Linux.
package blockfile
