// Package pebblestore keeps the journals of a transporter, each in a Pebble
// database of its own: it is the vault.Store of the product. It knows bytes, keys
// and durability, and never interprets what it stores.
//
// # Damage
//
// A byte that changed on disk costs one group. Frames, the index, floors and checksums are
// in tables of their own, so that damage to one costs nothing else, and an index that is
// damaged is made anew from the frames (Group.DropDamaged, rebuild.go). Blocks whose floor was
// in a damaged table are noted, and fail the reads that need it; checksums that were are made
// anew by a scrub. The rows that say what
// the group is, how far it got, and which points it has are stored twice (twins.go), in
// tables of their own: what is damaged of them is restored. The manifest has a copy
// (manifest.go). A store is opened without its damaged end, which is
// noted as lost (mend.go); one that is damaged otherwise is not opened, with an error of
// kind Corrupt that names the file. A damaged table that is found later fails the reads
// that need it, and DB.Damage says so. No damage ends the process.
//
// Pebble itself would end it when it reads a damaged table; it would go on from an
// older state when the manifest is damaged, and delete the newer tables; and it
// would make an empty database where the file that names the manifest is gone.
//
// What a crash leaves at the end of a log cannot be told from damage there. A store
// that was closed in order says so (closed.go), and then it can. For one that was
// not, a file beside it says which frames and points were durable (durable.go): what
// is missing is reported by name (DB.Losses), and points whose frames are still
// there get back what was changed of them. Tests flip bits:
//
//	go test ./pkg/adapter/pebblestore -run FlippedBit -flips 200
//
// A frame that cannot be read, and that the replica still needs or that is not in the
// index, ends history before it (Group.EndBefore). If the replica has what it wrote, and
// cannot go back before it, history begins at base instead, and what is after base stays.
// What mends a store that does not open
// does the same on a copy, removes tables of frames that cannot be opened, and cuts damaged
// logs; Repair also reads everything and keeps the damaged store. What follows
// the damage is lost, and noted as what a damaged end of the log takes. Of what it cannot
// mend it makes, if asked, a store without history: whose it is, and where numbers go on.
// The source then compares its disks with the replica, as for a first copy.
//
// # Full and failing disks
//
// A change that finds no room is refused as a whole before it begins (Full), and one
// that is on its way already waits. Tables leave Options.Keep bytes to the logs. A log
// or a manifest that cannot be written or synced for another reason ends that group's
// database, and nothing else: every change fails until Group.Load opens it anew, with
// all that was acknowledged. Space is the room there is, with a reserve.
//
// # Space
//
// Group.Usage says what a group keeps, what all its files take, and how much more the
// database may take while it works: logs, and tables that a compaction rewrites. So
// that this stays small, memory tables, tables and compactions are. What is dropped is
// removed by compactions, nobody knows when; Group.Reclaim removes it at once.
//
// A database for each of 1,000 groups takes 0.4 MiB of memory, 8 files and 2 ms at
// the start. Caches are shared.
//
// # Keys
//
// Integers in keys are big endian. All keys of a group begin with its number, which
// is 1 unless an older version gave it another, in a database for all groups:
//
//	u32 group  'f' u64 frame u16 part    part 0: header and table of the frame;
//	                                     part k: bytes (k-1)*16 KiB on of its payload
//	u32 group  'h'                       u64: entries of frames up to here were added
//	u32 group  'i' u16 disk u48 block ^u64 seq    index: u64 frame, u32 offset, u8 mask, u8 zero
//	u32 group  'j' u16 disk u48 region ^u64 seq   index of whole-region zeros: empty
//	u32 group  'k'                       u64: every frame up to here is in the index
//	u32 group  'l' u64 frame             history lost to damage, by its first frame: JSON
//	u32 group  'n' u64 frame             recovery point: JSON
//	u32 group  'o' u16 disk u48 block    the block has a floor: empty
//	u32 group  'q' u16 disk u48 block    its content; a floor of zeros has none, a
//	                                     damaged one a single byte
//	u32 group  'r' u16 disk u48 region   zero floor of a region: empty
//	u32 group  's'                       state: JSON
//	u32 group  't' u16 disk u48 block    u32: checksum of the replica's block
//	u32 0      'g' name                  the group: JSON
//	u32 number 'w' the rest of a key     a copy of the row: of 'g', 'k', 'l', 'n' and 's'
//
// There is no cursor: the largest 'f' key is the newest frame. So a frame and the
// fact that it is stored are one write, and a frame that comes again is found.
//
// A frame that replaces all before it (vault.Update.SkipTo) has part 0 only.
//
// # How frames become durable
//
// A small batch goes through the write-ahead log, with one sync. A large one
// (BulkBytes) is written as a finished sorted table, past the page cache where the
// disk allows it, and linked into the database, so that every byte is written
// once. Either way a batch is stored as a whole or not at all, and batches are
// stored in their order.
package pebblestore
