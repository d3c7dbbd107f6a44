// Package oracle knows what was on a disk after each of a guest's writes. It
// reads the log of QEMU's blklogwrites driver, which is in nobody's hands but
// QEMU's: not in the product's, and not in the guest's. A recovery point whose
// bytes equal the base image plus a prefix of the log is a state the disk once
// had; one that equals no prefix never existed.
//
//	Open           the log's entries: offset, length, flags, sum of the data
//	ReplayPrefix   the first n entries onto a copy of the base image
//	MatchPrefix    the longest prefix that gives an image
//
// # Bytes
//
// The format is that of Linux's device mapper target dm-log-writes
// (Documentation/admin-guide/device-mapper/log-writes.rst for what it means,
// drivers/md/dm-log-writes.c for the bytes), written by QEMU's
// block/blklogwrites.c. All numbers are little-endian, and the unit of place is
// the log's own sector.
//
//	sector 0       super block
//	  0   8  magic 0x6a736677736872
//	  8   8  version, 1
//	  16  8  number of entries
//	  24  4  sector size in bytes, a power of two from 512
//	sector 1...    entries, each in a sector of its own, its data behind it
//	  0   8  first sector on the disk
//	  8   8  number of sectors
//	  16  8  flags: 1 flush, 2 FUA, 4 discard, 8 mark
//	  24  8  length of a mark's name, which follows in the same sector
//
// Writes have their sectors' data behind the entry; flushes, discards and marks
// have nothing. A write of zeroes is logged as a write with zeroes as data.
//
// # What QEMU does differently
//
//   - An entry is logged when its write has completed on the disk below: the
//     log's order is the order of completion. A disk may therefore have a write
//     the log does not have, if QEMU was killed between the two. Freeze the guest
//     first when the whole log must match.
//   - The super block is written at flushes and every 4096 entries only. Entries
//     beyond its count are believed as long as they make sense; a log never
//     flushed has no super block, and is no log.
//   - The data of the last entry may be cut short by kill -9, which cannot be
//     seen in a sparse log. Freezing the guest first avoids this as well.
//   - A discard's later content is not defined by the log. It is taken for
//     zeroes; open the guest's drives without discard=unmap, QEMU's default, and
//     there are none.
//
// The log is of one disk: it says nothing about the order of writes to two.
package oracle
