// Package cdp is Tidemark's dictionary: the nouns every other package speaks,
// and the one error type.
//
// It holds types, their units and their invariants, and nothing that does
// anything: no clock, no I/O, no goroutine. It imports the standard library
// only, so that any package may import it.
//
// The nouns, from the smallest up:
//
//	write     one guest write: a disk, a byte range, and its content
//	Seq       the dense number of a write in its protection group; order comes
//	          from it and never from a clock
//	frame     a batch of consecutive writes: what is sent, acknowledged, stored
//	FrameNo   the dense number of a frame in its group; it equals the frame's
//	          sequence in the group's JetStream stream
//	Epoch     the fencing number of the capturer that made a frame
//	extent    the frames of one run of a capturer: continuity is unbroken in it
//	Bounds    horizon <= base <= head, the three seqs that describe a journal
//	Point     a recovery point: a seq the group can be brought to, with its time
//	          and the error bound of that time
package cdp
