// Package dirty keeps what a capturer must not forget about a group's disks, in
// one file that is mapped shared and so outlives a kill -9 of the process. It never
// reads or writes a disk.
//
//   - the map: one bit per 64 KiB region that may differ from what the journal
//     will hold once every frame handed over has arrived. A set bit means: read
//     the region and send it.
//   - the activity: two generations of such bits for the regions touched by
//     frames that are not durable at the journal yet. Should such frames be
//     lost, the map takes over both.
//   - the intents: the ranges of the writes that are on their way to a disk
//     right now. They find a write that was on the disk but in no frame when the
//     process died.
//   - the mark: the newest frame the stream is known to hold.
//
// What Open finds decides what is dirty:
//
//	no file, or another group, version or set of disks   everything
//	another boot of the machine, not closed cleanly      everything
//	the same boot, not closed cleanly (kill -9)          the map and the intents
//	closed cleanly                                       the map
//
// Bits are set and cleared atomically; Set and Touch may be called from any
// goroutine. At worst, a kill leaves a bit too many.
//
// # Bytes of version 1
//
// Little endian. Page 0: u64 magic "TDDIRTY\x01" stored last; u32 disks; u32
// clean (1: closed cleanly); u32 seed (0 none, 1 whole disks, 2 being narrowed
// to what is allocated); u32 current generation; at 32 boot id (48 bytes); at
// 96 group (48 bytes); at 160 u64 which of two marks counts, at 192 and 320 the
// marks. Page 1: 64 intents of 32 bytes: u32 state, u32 disk, i64 offset, i64
// length. Pages 2 and on: the size of each disk, u64. Then for each of map,
// generation 0 and 1 and each disk its bits, rounded up to a page.
package dirty
