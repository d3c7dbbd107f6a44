// Package block is the vocabulary of block devices: what a program that serves
// disks, and a program that has disks to serve, agree on.
//
// It holds interfaces and their rules and nothing that does anything. Offsets
// and lengths are in bytes.
package block
