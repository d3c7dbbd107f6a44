// Package history is the algebra of a journal: what a disk held at a seq, and
// what must happen to a block when base or horizon moves. It is pure: no clock,
// bus, store or goroutine; callers pass in what they looked up and carry out what
// it returns.
//
// For a group, horizon <= base <= head. The journal keeps every write after
// horizon, and an index of entries (block, seq) -> place of the content. A
// block may have a floor: its content at horizon, saved before the replica's
// block was overwritten. One rule reads every point T, horizon <= T <= head:
//
//	the newest entries at or below T, newest first, until every sector of the
//	block is covered; for the sectors left, the floor; if there is none, the
//	replica
//
// It is right as long as these two hold:
//
//	F1  a floor is the block's content at horizon
//	F2  a block without a floor has, in the replica, its content at horizon for
//	    every sector no entry covers, because no write after horizon was ever
//	    applied to it
//
// so floors are made durable before the replica is written, and dropped only
// when nothing after horizon is in the replica's block.
//
// Long runs of zeros (TRIM, WRITE ZEROES) that cover whole 1 MiB regions have
// one entry for the region, which counts as an entry of each of its blocks; and
// a region may have a zero floor, which is the floor of each of its blocks that
// has none of its own.
package history
