package nbd

// WriteBufferer is a device that lends the memory a write is received into,
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
	// Commit is the write: as block.Device.WriteAt with these bytes.
	Commit() error
	// Abort gives the room back: the peer went away in the middle of the
	// payload and the write must leave no trace.
	Abort()
}
