// Package vault is the engine of a group's journal: it takes frames in, keeps
// the index, moves base and horizon, and serves any point as a disk. Package
// history holds the rules; vault looks up what they need, and carries out what
// they say, in an order that is right after a crash at any moment.
//
// It never talks to the bus, never decides when something is to happen (its
// caller does), and never changes a stored frame.
//
// # The way of a write
//
//	Offer    admits a frame
//	Prepare, Commit
//	         make frames durable through the Store, and add them to the tail (the
//	         part of the index that is still in memory)
//	index    a full tail is written to the store as one sorted run; the store
//	         remembers up to which frame it is indexed, so after a crash the
//	         tail is read back from the frames after that
//	Raise    moves base up: floors saved and durable, then the replica written
//	         and synced, then base moved
//	Lower    moves base down by writing back what the blocks held
//	Retain   moves horizon up and frees the space
//	View     is a point as a disk, read in place
//
// Before the first recovery point there is nothing to keep: see type seed.
//
// # Who owns what
//
//	layouts    which disks the group has and had
//	ledger     horizon, base, head, the oldest and newest frame; whether the store works
//	index      the tails, and the goroutine that writes them to the store
//	chain      which frames cannot be read; it looks things up in the stored frames
//	pointList  the recovery points
//	views      the open views; the lock that keeps reads from drops
//	floors     which blocks have floors
//	sums       the checksums of the replica's blocks, and which are damaged
//	mover      the lock of a move; base and horizon move here
//	seed       a seed that goes straight into the replica
//	Group      what was offered; it joins the others
//
// Locks are taken in this order: mover.mu, seed.applying, pointList.edit,
// views.drop, index.mu, pointList.mu, views.mu, sums.mu, ledger.mu.
//
// # Damage
//
// Each block that is written to the replica has its CRC-32C in the store, committed
// with the step that wrote it. What is read of the replica, for a view or as a floor,
// is compared; a scrub compares what nobody reads. A damaged block is read from the
// journal if that has its content; else the read is Corrupt, and only that block is
// lost: a floor made of it says that it is damaged, and what a later write leaves of
// it stays damaged. Content in the store has the store's own checksums. The images
// of an adopted seed have none until a block is written, or a scrub has read it.
//
// A frame that base has passed may be damaged. Where its header cannot be read the index
// says what it held, so horizon and base move over it. What of its content cannot be
// read is known after a read or a scrub; Unreadable says which writes that costs.
//
// A frame that base still has to pass and that cannot be read ends history before it:
// see EndBeforeDamage. Views of what is lost fail from then on.
//
// # Who may run at once
//
// Ingest, at most one move (Raise, Merge, Lower, Retain) and any number of views
// run side by side. A view reads the replica before it looks for floors: a floor
// is durable before the replica is written, so a replica that had changed is
// found to have a floor. Only dropping floors and index entries excludes views,
// for as long as one commit takes (views.drop).
package vault
