// Package capture is the source side of the data path: the I/O filter endpoint.
// It sees every guest write of its groups, gives each the next place in the
// group's one order, and hands them over in frames. Seeding, resync and
// recovery send blocks through the same frames, in order with live writes.
//
// # What it consumes and emits
//
//	consumes                          from                 through
//	guest reads, writes, flushes      NBD clients          listeners of the group
//	jobs                              the binary           Service.Apply, Remove
//	recovery-point requests           scheduler            Service.Mark
//	"the tap's copy is complete"      who runs the tap     Service.Synced
//	last frame, acknowledgements      the group's stream   Stream.Tail, Results
//	durable frame number              journal              Stream.Durable
//	durable position, when asked      journal              Journal.Cursor
//	fencing epoch                     KV                   Epochs.Next
//
//	emits                             to                   through
//	frames                            the group's stream   Stream.Publish
//	a stream that starts again        the bus              Stream.Recreate
//	state changes with their reason   everyone             Events.StateChanged
//	progress of seed and resync       everyone             Events.Progress
//
// # The way of one write
//
//  1. Its range is entered in the flight table (flight.go), which keeps
//     overlapping writes apart and is the intent a restart finds after kill -9.
//  2. It is written to the disk (write.go). An error is the guest's, and leaves
//     the region dirty.
//  3. Under the group's mutex it is appended to the open frame in the window
//     (record.go); or, where the region is dirty or no frame can be had, it
//     sets the region's dirty bit and nothing else.
//  4. The guest has its reply. Nothing above waited for the bus; only while a
//     tap's client makes its full copy a write may wait a moment for a slot.
//  5. The sender (send.go) closes frames as they are full or the line is idle,
//     seals and publishes them; a frame leaves the window once the journal has
//     it, or, when room is short, once the stream has it.
//
// # What is kept where
//
//	window (pkg/window)    frames; usually tmpfs; outlives kill -9
//	map (pkg/dirty)        dirty regions, activity, intents, the mark; state dir
//	stream, journal        everything acknowledged
//
// A region whose content is in none of window, stream and journal is dirty:
// that is the invariant everything here keeps, at every instruction.
//
// # What the fault tests found
//
//	bug                                                     command
//	frames of a killed process, still on the wire, entered  go test -run Whatever -seed 20261122
//	between new ones under their numbers: the sequence
//	alone does not fence; see Stream.Publish
//	the copier slept on after a second attach had drained   go test -run Whatever -seed 20261125
//	the window
//	a guest faster than the stream made the state flap      go test -run ACopyUnder
//	a tap's copy on a busy machine ran over the window,     go test -run ATapsCopy, and
//	began again, and never ended                            go test ../../e2e/guesttest -run Tap
package capture
