// Package window keeps the frames a capturer has not yet handed over: a ring of
// slots in a file that is mapped shared, so that what was appended outlives a
// kill -9 of the process without a system call or a disk write per guest write.
// It does not outlive the machine: the file is usually on tmpfs, and a file of
// another boot is discarded.
//
// A window has memory for what it holds: a slot gets it as writes are appended, out
// of a Budget that all windows share, and gives it back when it was not needed for a
// while. Each window keeps Floor.
//
// What it never does: it decides nothing about order or numbers, and never
// waits. It stores nothing where no memory was reserved: on a full file system
// that would end the process.
//
// A slot's life: free -> open (writes are appended) -> closed (nothing more
// comes) -> sealed (it has header, number and hash; it may be sealed again under
// another number) -> free. Ordinals number the frames of a window 1, 2, 3 ...;
// at any moment the slots in use are the frames First..Last without a gap, and
// at most the last one is open.
//
// # Who may call what
//
// Begin, Room, Append, End, Release, Trim and the questions about First, Last and
// Free need one lock of the caller. Seal and Frame touch one closed slot only: one
// other goroutine may call them without that lock, as long as the slot is not
// released meanwhile.
//
// # Why a kill leaves it whole
//
// A writer stores payload and record first and then, with one atomic store, the
// slot's counters; a state is stored atomically after what it promises. A
// process that is killed stops between two instructions and the kernel keeps
// the pages, so a reader finds every write that was counted, complete. Sealing
// writes only after and before the payload, never over what it was made from:
// a kill in the middle leaves the slot closed.
//
// # Bytes of version 2
//
// Little endian. The file is a header page, a page-aligned slot table, and the
// slots, each frame.SlotSize rounded up to a page, with holes where a slot has no
// memory. A frame may be in any slot. (In version 1, which is read too, ordinal o is
// in slot o modulo the number of slots, and there are no holes.)
//
//	header
//	   0  u64  magic "TDWINDOW", stored last when the file is made
//	   8  u32  version, 2
//	  12  u32  number of slots
//	  16       48 bytes, boot id, zero padded
//	  64       48 bytes, group, zero padded
//	slot entry (128 bytes)
//	   0  u32  state: 0 free, 1 open, 2 closed, 3 sealed
//	   4  u32  frame flags
//	   8  u64  ordinal
//	  16  u64  records << 32 | payload length
//	  24  i64  source time of opening, ns since 1970
//	  32  i64  source time of closing, ns since 1970
//	  40  u64  the request that the frame answers (cdp.RequestID), 0 for none
//	  64       32 bytes, hash under which the frame was sealed before, or zero
//
// The file is locked with flock: a second process gets a Conflict error.
package window
