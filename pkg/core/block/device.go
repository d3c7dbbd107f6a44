package block

// Device is a disk. An NBD server, say, is its only caller.
//
// Offsets and lengths are bytes, inside [0, Size()), never empty, and multiples
// of the block size that caller and device have agreed on. A device that is
// served to several clients must allow concurrent calls. The caller keeps no
// reference to a buffer after the call, and neither does the device.
//
// A returned syscall.Errno (also wrapped) reaches a remote client as such where
// its protocol knows the number; every other error becomes EIO.
type Device interface {
	// Size is the disk's length in bytes. It does not change while the device is
	// in use.
	Size() int64
	// ReadAt fills all of p from off, or fails.
	ReadAt(p []byte, off int64) error
	// WriteAt stores all of p at off, or fails. With fua the client wants the
	// write durable before it is answered; the caller calls Flush for that, so a
	// device may ignore fua.
	WriteAt(p []byte, off int64, fua bool) error
	// Zero makes n bytes at off read as zeros.
	Zero(off, n int64, flags ZeroFlags) error
	// Trim says that n bytes at off are no longer needed; a device may do
	// nothing. fua is as in WriteAt.
	Trim(off, n int64, fua bool) error
	// Flush returns once every write, zero and trim that returned before the call
	// is durable. After an error none of them need be.
	Flush() error
}

// ZeroFlags say how Zero may work.
type ZeroFlags uint8

const (
	// ZeroNoHole keeps the range allocated, so that a later write to it cannot
	// run out of space.
	ZeroNoHole ZeroFlags = 1 << iota
	// ZeroFast fails with syscall.EOPNOTSUPP, and changes nothing, unless zeroing
	// is quicker than writing zeros.
	ZeroFast
	// ZeroFUA is fua as in Device.WriteAt.
	ZeroFUA
)

// StatusDevice is a Device that knows its holes. All of any other device counts
// as data.
type StatusDevice interface {
	Device
	// Status describes consecutive extents from off, the first one at least one
	// block long. They may cover less than n bytes, or more (the caller cuts the
	// rest off). No extents means: all data.
	Status(off, n int64) []Extent
}

// Extent is a run of bytes in one state.
type Extent struct {
	Length int64 // bytes, > 0
	Hole   bool  // not allocated: a write to it may run out of space
	Zero   bool  // reads as zeros
}
