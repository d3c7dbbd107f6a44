// Package traffic is the guests: writers over NBD that keep their own record of
// every write, independent of the product.
//
// Each sector that is written carries the number of its write, its own place
// and a checksum, so that what is read back says by itself which write it comes
// from, and whether it is torn or at the wrong place.
//
// A writer waits for each answer before it sends the next write, to the other
// disk: so writes depend on each other across disks. Several writers run at
// once, and their writes overlap. A write whose connection died is in doubt: it
// may have happened or not, and nobody depends on it.
package traffic
