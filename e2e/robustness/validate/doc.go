// Package validate decides whether disks that were read back are a state that
// the writers' record allows. It is pure, and knows nothing of the product.
//
// A point is right when some order of the writes, which puts a write after
// each that was answered before it was issued, has a prefix whose result is
// what was read, on all disks, and that prefix
//
//	holds every write answered before the point's marker was asked for,
//	holds no write issued after the point was made,
//	holds all of the prefix of the points before it.
//
// A write is in the prefix if a sector shows it; so is everything answered
// before a write that is (needed, in the code). Of a sector it follows which
// needed writes may not have come after the one it shows. Writes that ran at
// the same time and overlap may be in either order, but the same way in
// every sector: else one of them is torn.
//
// A write in doubt (its guest never had an answer) need not be there, and may
// be there in part: the disk itself may hold a part of it.
package validate
