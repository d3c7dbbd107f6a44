package vault

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
)

// State is what a group remembers besides frames, index and floors.
type State struct {
	Horizon cdp.Seq `json:"horizon"`
	Base    cdp.Seq `json:"base"`
	// Moving is the destination of a move of base that was begun; the replica may hold
	// any mix of Base and Moving. Equal to Base when there is none.
	Moving cdp.Seq `json:"moving"`
	// Halted stops ingest: the group has been failed over in production.
	Halted bool `json:"halted,omitempty"`
	// Run is the failover run it is halted for; empty if it is not halted.
	Run string `json:"run,omitempty"`
	// Released: the replica is another machine's for now. Only a halted group is
	// released, and Moving is Base then.
	Released bool `json:"released,omitempty"`
	// Straight: nothing was recoverable yet, and frames went straight into the
	// replica, which may be ahead of Base. It ends with a frame that is
	// consistent; until then nothing can be looked at.
	Straight bool `json:"straight,omitempty"`
	// Cursor is the only frame that is stored, while all before it went straight.
	Cursor cdp.FrameNo `json:"cursor,omitempty"`
	// Summed: every block of the replica has a checksum or holds zeros. Otherwise a
	// block without one, of an adopted image or an older version, may hold anything.
	Summed bool `json:"summed,omitempty"`
	// Sealed is set by a commit of a failover: history beyond Base is void, the
	// replica is the disk from now on.
	Sealed bool `json:"sealed,omitempty"`
}

// IndexEntry is one line of the index. Whole entries cover a region with zeros.
type IndexEntry struct {
	Disk   cdp.DiskID
	Whole  bool
	Region cdp.Region // if Whole
	Block  cdp.Block  // if not Whole
	history.Entry
}

// Loaded is what a store holds when it is opened.
type Loaded struct {
	State   State
	Newest  *frame.Header // the frame of the largest number, nil for none
	Oldest  cdp.FrameNo   // the frame of the smallest number, 0 for none
	Indexed cdp.FrameNo   // every frame up to here is in the index
	// Layouts are the disks that the group has and had; none if they never changed.
	Layouts history.Layouts
}

// Store keeps a group's frames, index, floors and points. What a method calls
// durable survives a power loss. Errors are *cdp.Error; after one from Commit the
// store must be loaded again before it is written, except where an Update's is Full:
// then nothing has changed.
type Store interface {
	Load() (Loaded, error)

	// Prepare begins to store frames, which continue the newest one without a
	// gap. The frames' bytes are not used after it returns. Pendings are
	// committed in the order they were prepared; the next may be prepared while
	// one is being committed.
	Prepare(frames []frame.Frame) (Pending, error)

	// Tables calls fn for the frames in [from, to] that are stored, ascending.
	// The table is valid during the call.
	Tables(from, to cdp.FrameNo, fn func(frame.Table) error) error
	// Frames is Tables with the payload; it is valid during the call.
	Frames(from, to cdp.FrameNo, fn func(t frame.Table, payload []byte) error) error
	// Payload fills p from the payload of frame no at off.
	Payload(no cdp.FrameNo, off uint32, p []byte) error

	// EndBefore ends history before frame no, which cannot be read. The store must be
	// loaded again: then it has no frame, point and index from there on, and where base is
	// at the end of the frame before, head is base. Where base is past it, Moving is head.
	// If base is past it and the replica cannot go back, Horizon is Base instead, no floor
	// is left, and the index is empty. An error: nothing has changed.
	EndBefore(no cdp.FrameNo, why error) error

	// DropDamaged drops the index if a part of it cannot be read, notes floors as damaged
	// that cannot be found, and drops checksums that cannot be read; it reports whether it
	// did. The store must be loaded again then: without an index, what it says to be indexed
	// is Unneeded; without some checksums Summed is false. An error: nothing has changed.
	DropDamaged() (bool, error)

	// AddFloors saves floors of blocks that have none, sorted by disk and block,
	// and zero floors of regions. They are durable at the latest with the next
	// Commit of an Update. If it is Full, nothing has changed.
	AddFloors(floors []Floor, zeros []ZeroFloor) error

	// AddIndex adds entries, each of them new, and the fact that every frame up to
	// upTo is indexed, at once and durably. Entries of blocks come before those of
	// whole regions; each sort is ordered by disk, by block or region, newest first.
	AddIndex(upTo cdp.FrameNo, entries []IndexEntry) error

	// Reader sees the index, floors and points as they are now.
	Reader() (Reader, error)

	// Begin collects changes that Commit makes at once and durably.
	Begin() Update

	// Points calls fn for every point, ascending.
	Points(fn func(cdp.Point) error) error
	// Usage is the space that the store takes. Frames below oldest were dropped; base
	// has not reached those from behind on.
	Usage(oldest, behind cdp.FrameNo) (Usage, error)
	// Reclaim frees the space that the frames below oldest, and dropped entries and
	// floors, still take on disk. It may take as long as rewriting all that is kept,
	// and reads and writes go on meanwhile.
	Reclaim(ctx context.Context, oldest cdp.FrameNo) error
}

// Usage is the space that a store takes, in bytes. What is not in a table yet counts
// for OnDisk alone.
type Usage struct {
	// Kept is what the history takes: frames, index, floors, points.
	Kept int64
	// Behind is the part of Kept that are frames which base has not reached. When it
	// does, their floors take up to as much.
	Behind int64
	// OnDisk is what all files take, also those that are being written or are not
	// needed any more, but for the checksums of the replica.
	OnDisk int64
	// Work is how much more than Kept the store may take on disk for a while, for its
	// logs and for tables that it rewrites.
	Work int64
}

// Floor is a block's own floor: its content at horizon.
type Floor struct {
	Disk    cdp.DiskID
	Block   cdp.Block
	Content []byte // BlockSize bytes; nil for zeros
	// Damaged: the content is lost, and Reader.Floor says so with an error.
	Damaged bool
}

// ZeroFloor is a region's zero floor.
type ZeroFloor struct {
	Disk   cdp.DiskID
	Region cdp.Region
}

// Pending is a set of frames on their way into the store.
type Pending interface {
	// Begin starts the disk's work; it is called once, in order, before Commit. A
	// set that was begun must be committed, for it may become durable anyway.
	Begin() error
	// Commit returns once the frames, and all those before them, are durable.
	Commit() error
	// Abort discards frames that were not begun.
	Abort()
}

// Reader is an unchanging view of the index, floors and points. It is not safe
// for concurrent use.
type Reader interface {
	// Entries calls fn for the entries of a block at or below upTo, newest
	// first, until it returns false. Whole entries are not among them.
	Entries(disk cdp.DiskID, b cdp.Block, upTo cdp.Seq, fn func(history.Entry) bool) error
	// Wholes does so for the whole-region zeros of a region.
	Wholes(disk cdp.DiskID, r cdp.Region, upTo cdp.Seq, fn func(cdp.Seq) bool) error
	// Between calls fn for every entry in (after, upTo], in any order. It reads the whole
	// index, and is for what the frames do not say any more.
	Between(after, upTo cdp.Seq, fn func(IndexEntry)) error
	// Floor fills p, of BlockSize bytes, with the own floor of a block that has
	// one. It is Corrupt if the floor is a damaged one.
	Floor(disk cdp.DiskID, b cdp.Block, p []byte) error
	// Floors sets has[i] for the blocks b+i that have a floor of their own. It
	// costs little: no content is read.
	Floors(disk cdp.DiskID, b cdp.Block, has []bool) error
	// ZeroFloor reports whether the region has a zero floor.
	ZeroFloor(disk cdp.DiskID, r cdp.Region) (bool, error)
	// Touched is the first region at or after from that has an entry, zeros of the whole
	// region among them, or a block with a floor of its own; false if there is none.
	// blocks: it has an entry of a block.
	Touched(disk cdp.DiskID, from cdp.Region) (at cdp.Region, blocks, ok bool, err error)
	// Sums fills x with the checksums of the first region at or after from that has
	// any, and returns which that is; false if there is none. It may show later
	// changes than the rest.
	Sums(disk cdp.DiskID, from cdp.Region, x *RegionSums) (at cdp.Region, ok bool, err error)
	// Any reports what the group has at all, so that look-ups can be skipped. It
	// may be true when there is none, but never false when there is one.
	Any() (wholes, floors bool)
	Close() error
}

// Update is a set of changes, which Commit makes.
type Update interface {
	SetState(State)
	// PutLayouts notes the disks that the group has and had. The store is that of the
	// newest of them from then on.
	PutLayouts(history.Layouts)
	// PutFloor notes a block's own floor in place of the one it may have; p is
	// copied. With a nil p the floor is a damaged one.
	PutFloor(disk cdp.DiskID, b cdp.Block, p []byte)
	DropFloor(disk cdp.DiskID, b cdp.Block)
	DropZeroFloor(disk cdp.DiskID, r cdp.Region)
	// PutSum notes the checksum of a block of the replica, DropSum that it has none.
	PutSum(disk cdp.DiskID, b cdp.Block, sum uint32)
	DropSum(disk cdp.DiskID, b cdp.Block)
	DropEntry(disk cdp.DiskID, b cdp.Block, s cdp.Seq)
	DropWhole(disk cdp.DiskID, r cdp.Region, s cdp.Seq)
	// DropFrames removes all frames below no.
	DropFrames(no cdp.FrameNo)
	// SkipTo makes f the newest frame, without its payload and without its place
	// in the index, and drops all before it. The index is empty.
	SkipTo(f frame.Frame)
	PutPoint(cdp.Point)
	DropPoint(cdp.FrameNo)
	// Commit makes the changes at once; it returns once they are durable, also
	// against changes committed before. The Update must not be used after it.
	Commit() error
	// Discard drops an update that was not committed.
	Discard()
}

// Replica is a group's disk images on the target, by disk. Blocks of a sparse
// image that were never written read as zeros.
type Replica interface {
	Size(disk cdp.DiskID) int64
	// ReadAt fills p; what lies beyond the disk's end reads as zeros.
	ReadAt(disk cdp.DiskID, p []byte, off int64) error
	// WriteAt writes p; what lies beyond the disk's end is ignored.
	WriteAt(disk cdp.DiskID, p []byte, off int64) error
	// Zero makes a range read as zeros, and frees its space where it can.
	Zero(disk cdp.DiskID, off, n int64) error
	// IsZero reports whether a range is known to read as zeros without reading
	// it.
	IsZero(disk cdp.DiskID, off, n int64) bool
	// Sync returns once everything written is durable.
	Sync() error
}
