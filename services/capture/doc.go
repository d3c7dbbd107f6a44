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
//	recovery-point requests           scheduler            Group.Mark
//	"the tap's copy is complete"      who runs the tap     Group.Synced
//	"every write is told from now",   a frozen tap's       Group.Live, Unlive
//	"and now no more"                 client
//	"a cycle now", "and its point"    whoever wants one    Group.Cycle, CyclePoint
//	frozen disks, what changed        the site's vCenter   Snapshots
//	checksums of what is there        journal              Sums
//	last frame, acknowledgements      the group's stream   Stream.Tail, Results
//	durable frame number, refusals    journal              Stream.Durable
//	durable position, when asked      journal              Journal.Cursor
//	fencing epoch                     KV                   Epochs.Next
//
//	emits                             to                   through
//	frames                            the group's stream   Stream.Publish
//	a stream that starts again        the bus              Stream.Recreate
//	state changes with their reason   everyone             Events.StateChanged
//	progress of seed and resync       everyone             Events.Progress
//	what somebody should look after   everyone             Alarms.Alarm
//
// # The way of one write
//
//  1. Its range is entered in the flight table (flight.go), which keeps
//     overlapping writes apart and is the intent a restart finds after kill -9.
//  2. It is written to the disk (guestio.go). An error is the guest's, and leaves
//     the region dirty.
//  3. Under the group's one lock (order.go) it is appended to the open frame in the window
//     (record.go); or, where the region is dirty or no frame can be had, it
//     sets the region's dirty bit and nothing else.
//  4. The guest has its reply. Nothing above waited for the bus; only while a
//     tap's client makes its full copy a write may wait a moment for a slot.
//  5. The sender (sender.go) closes frames as they are full or the line is idle,
//     seals and publishes them; a frame leaves the window once the journal has
//     it, or, when room is short, once the stream has it.
//
// # The way of a pass
//
// The disks of a VM can be read only as of a moment. For a frozen group (a tap
// with Job.Frozen, and cbt) what is dirty is sent in passes, one at a time:
//
//  1. A pass is due: a tap's client tells every write (Live) and something is
//     dirty, or may be; a cbt group's cadence is up, or a cycle was asked for.
//     What an earlier process left is thawed first.
//  2. The pass is armed (pass.go). From here on every write of a tap, to dirty
//     regions too, gets its place in a frame and is noted, sector by sector
//     (touched.go). One that gets no place makes its region dirty for the next
//     pass, whatever this one does there.
//  3. Only then the snapshot is made. So each write that is not noted is in it,
//     and where it is older than a write that has its place, that was noted.
//  4. What has to be sent is found out (resolve.go): what is dirty, and, where
//     nobody saw the writes, what changed since the change ids of an earlier
//     pass. Those of this one take their place in the chain (chain.go) once the
//     dirty bits are on disk, and before anything is sent: so a crash anywhere
//     leads to more than is needed, and to no hole.
//  5. Dirty ranges are read (sweep.go), compared with the target's checksums if
//     it may have them (verify.go), and put into frames without what was
//     touched.
//  6. When nothing is left that this pass can send it ends (endpass.go). If
//     nothing is dirty at all, a frame of its own makes it a recovery point: for
//     cbt one of the snapshot's time, which all frames of a cycle carry. The
//     disks are closed, and the snapshot is removed.
//
// A tap that missed writes, nobody knows where (its client went, capture
// started), is blind, and not consistent, until a pass that was armed after Live
// has found out what changed. A goodbye is no better here than silence: it comes
// when the filter is detached from a machine that writes on, and one that was
// powered off may be started without it. What came until then is made a last
// point, of the time of the last write; there is none of a later time before that
// pass. So points are made only while it is known that every write is told, and
// the RPO grows while a machine is off.
//
// # Two histories
//
// A place is taken without the journal, for the link may be down; it is asked
// only where the stream lacks what this side knows it had. So a stream that lost
// its newest frames may go on from another one than the journal, which refuses
// what does not continue its own chain. Its word tells (answers.go): it has
// frames of another epoch behind our base, or it names the frame it refuses. Then
// the journal is asked, the stream begins anew behind its newest frame, in a new
// extent, and what is not in frames that follow is dirty: the activity, if that
// frame is one of ours (place.go); else, and where content was compared with the
// journal's, everything. No recovery point is lost or made by it. While the link
// is down writes only become dirty, as in any other outage.
//
// An epoch is of one life of one capturer: it is above all that stand in mark,
// stream and journal. So a frame of the newest epoch proves what is before it, and
// only such a one lets activity be forgotten.
//
// # What is kept where
//
//	window (pkg/engine/window)    frames; usually tmpfs; outlives kill -9
//	map (pkg/engine/dirty)        dirty regions, activity, intents, the mark; state dir
//	chain (chain.go)       change ids of a frozen group's last pass; state dir
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
//	change ids were kept though a tap's client had been     go test -run FrozenTap -seed 106
//	gone unnoticed when their snapshot was made
//	a comparison waited for ever for frames that the        go test -run CyclesBecome -seed 100
//	stream had lost: it had nothing to send, and so did
//	not notice
//	points were made behind the goodbye of a tap whose      go test -run Goodbye
//	machine wrote on: its filter had been detached
//	the last point of a client that vanished was one of     go test -run FrozenTap
//	the time that this was noticed
//	an epoch taken for a place that was gone by then was    go test -race -run Whatever -count 5
//	not remembered, and the capturer fenced itself          (on a busy machine)
//	a frame that stream and journal had, whose answer a     go test -run 'Whatever|StreamLost'
//	killed capturer did not live to see, and that the
//	stream then lost, was made anew under its number: the
//	journal refused all that followed, for ever
//	what is dirty was forgotten by the journal's word on    go test -run Whatever
//	a frame of an earlier life: of another history, maybe
//	epochs that a server forgot with its power were given   go test -run StreamLost, and
//	out again: the journal refused them, for ever           go test ../../e2e/robustness -run TestPowerLoss
package capture
