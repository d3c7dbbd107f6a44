// Package frame is the codec of frames: the batches of consecutive writes that
// are sent over the bus, acknowledged and stored. It is pure: bytes in, values
// out, no clock and no I/O. It never reorders, merges or drops a write, and keeps no
// key.
//
// # Bytes of version 1
//
// All integers are little endian. A frame is a header, the payload, and a table
// with one record per write:
//
//	header (128 bytes)
//	   0  u32  magic "TDF1"
//	   4  u16  version, 1
//	   6  u16  flags: 1 consistent, 2 marker, 4 extent start, 8 requested,
//	           16 digested, 32 signed
//	   8  u64  epoch of the capturer
//	  16  u64  frame number
//	  24  u64  seq of the first record (of the next write, if there is none)
//	  32  u32  number of records
//	  36  u32  payload length in bytes
//	  40  i64  source time at which the frame was opened, ns since 1970
//	  48  i64  source time at which it was sealed, ns since 1970
//	  56  u64  the request that a marker answers (cdp.RequestID), 0 for none
//	  64       32 bytes, hash of the frame before (zero for the first)
//	  96       32 bytes, hash of this frame
//	payload: the content of the writes, back to back in the order of the table
//	table: records x 32 bytes
//	   0  u64  offset on the disk in bytes, a multiple of 512
//	   8  u32  length in bytes, a multiple of 512, not 0
//	  12  u16  disk
//	  14  u8   kind: 1 write, 2 zeros (no payload)
//	  15  u8   flags: 1 copied by seeding or resync rather than written by a guest
//	  16  u32  offset in the payload
//	  20  u32  CRC-32C of the record's payload, 0 for zeros
//	  24  u32  microseconds from the frame's opening to the write
//	  28  u32  zero
//
//	seal:
//	   0       32 bytes, if digested: SHA-256 of the payload
//	  32       32 bytes, if signed: the public key of the source (Ed25519)
//	  64       64 bytes, if signed: its signature of the hash and the group's name
//
// Record i has seq first+i. The hash is SHA-256 over the header's first 96 bytes, the
// table and the digest. So it covers the payload: against accidents through the
// checksums, which are looked at whenever a payload is used, and against tampering
// through the digest, which costs more and is looked at when a journal is verified.
//
// The chain of hashes proves order and completeness. A signature proves whose they are,
// of its own frame and of all before it. Markers are signed.
//
// A frame holds at most MaxPayload bytes of payload and MaxRecords records, so
// that it is never longer than MaxSize, below the bus's default message limit.
package frame
