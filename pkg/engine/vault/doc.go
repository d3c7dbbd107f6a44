// Package vault is the engine of a group's journal: it takes frames in, keeps
// the index, moves base and horizon, and serves any point as a disk. Package
// history holds the rules; vault looks up what they need, and carries out what
// they say, in an order that any crash leaves right.
//
// It never talks to the bus, never decides when something is to happen (its
// caller does), and never changes a stored frame.
//
// # A write's way
//
//	Ingest   admits frames, makes them durable through the Store, adds them to
//	         the tail (the part of the index that is still in memory)
//	index    a full tail is written to the store as one sorted run; the store
//	         remembers up to which frame it is indexed, so after a crash the
//	         tail is read back from the frames behind that
//	Raise    moves base up: floors saved and durable, then the replica written
//	         and synced, then base moved
//	Lower    moves base down by writing back what the blocks held
//	Retain   moves horizon up and gives the space back
//	View     is a point as a disk, read in place
//
// Before the first recovery point there is nothing to keep: see straight.go.
//
// # Who may run at once
//
// Ingest, at most one move (Raise, Lower, Retain) and any number of views run
// side by side. A view reads the replica before it looks for floors: a floor is
// durable before the replica is written, so a replica that had changed is found
// to have a floor. Only dropping floors and index entries excludes views, for
// as long as one commit takes (Group.drop).
package vault
