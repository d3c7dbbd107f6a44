package nbd

// Backend is the disk behind an export; the server is its only caller.
//
// Offsets and lengths are bytes, inside [0, Size()), never empty, and multiples
// of the export's minimum block size. Calls come from one goroutine per
// connection and, for Flush, from one more, so an export with several
// connections needs a Backend that allows concurrent calls. The server keeps
// no reference to a buffer, and a Backend must keep none, after the call.
//
// A returned syscall.Errno (also wrapped) that the protocol knows reaches the
// client as such; every other error becomes EIO.
type Backend interface {
	// Size is the disk's length in bytes. It must not change while exported.
	Size() int64
	// ReadAt fills all of p from off, or fails.
	ReadAt(p []byte, off int64) error
	// WriteAt stores all of p at off, or fails. fua says that the client wants
	// this write durable before its reply: it is a mark and no order, because
	// the server calls Flush before it answers such a write.
	WriteAt(p []byte, off int64, fua bool) error
	// Zero makes n bytes at off read as zeroes.
	Zero(off, n int64, flags ZeroFlags) error
	// Trim says that n bytes at off are no longer needed; it may do nothing.
	// fua is a mark as in WriteAt.
	Trim(off, n int64, fua bool) error
	// Flush returns once every write, zero and trim that returned before the
	// call is durable. An error means that none of them need be.
	Flush() error
}

// ZeroFlags say how Zero may work.
type ZeroFlags uint8

const (
	// ZeroNoHole: the range must stay allocated, so that a later write to it
	// cannot run out of space.
	ZeroNoHole ZeroFlags = 1 << iota
	// ZeroFast: fail with syscall.EOPNOTSUPP, having changed nothing, unless
	// this is quicker than writing zeroes.
	ZeroFast
	// ZeroFUA is the mark described at Backend.WriteAt.
	ZeroFUA
)

// StatusBackend is a Backend that knows its holes. An export without it
// reports everything as data.
type StatusBackend interface {
	// Status describes consecutive extents from off, the first one at least
	// one minimum block long. They may cover less than n bytes, or more (the
	// rest is cut off). No extents means: all data.
	Status(off, n int64) []Extent
}

// Extent is a run of blocks in one state.
type Extent struct {
	Length int64 // bytes, > 0
	Hole   bool  // not allocated: a write to it may run out of space
	Zero   bool  // reads as zeroes
}

// WriteBufferer is a Backend that lends the memory a write is received into,
// which saves a copy: a log can hand out the place of its next record.
type WriteBufferer interface {
	// WriteBuffer reserves room for a write of n bytes at off, or returns nil
	// to have it sent through WriteAt. It is called when the request's header
	// was read, before its payload: a lease can stay open as long as the peer
	// takes to send, so holding one must not block other connections.
	WriteBuffer(off int64, n int, fua bool) WriteLease
}

// WriteLease is the room for one write. The server calls exactly one of Commit
// and Abort, once, and does not touch the lease afterwards; a pointer from a
// pool makes leases free of allocation.
type WriteLease interface {
	// Bytes is the room: exactly n bytes, the same at each call.
	Bytes() []byte
	// Commit is the write: as Backend.WriteAt with these bytes.
	Commit() error
	// Abort gives the room back: the peer went away in the middle of the
	// payload and the write must leave no trace.
	Abort()
}
