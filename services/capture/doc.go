// Package capture is the source side of the data path: the I/O filter endpoint.
// It sees every guest write of its groups, gives each the next place in the
// group's one order, and hands them over in frames. Seeding, resync and
// recovery send blocks through the same frames, in order with live writes.
//
// Service captures the jobs whose source is its site, whatever their target, and
// answers for them. Groups runs groups, Group is one of them.
//
// What it never does: it blocks no guest (but see step 4), stores no history, and
// does not know where the journal is.
//
// # What it consumes and emits
//
//	consumes                          from                 through
//	guest reads, writes, flushes      NBD clients          DiskServers
//	jobs, and whether they run        spec and state KV    Jobs, Runs
//	marks                             scheduler            Service.Endpoints
//	capture.mark                      people               Service.HandleMark
//	capture.synced                    who runs a tap       Service.HandleSynced
//	status, drain, clock              journal, failover,   Service.Endpoints
//	                                  the CLI
//	disks: what is at some paths      scheduler            Service.Endpoints
//	copy-started, synced,             a tap's client       Service.Endpoints
//	live, unlive
//	frozen disks, what changed        the site's vCenter   Snapshots
//	whether a VM is off               the site's vCenter   Machines
//	checksums, newest frame           journal              Sums, Journal
//	last frame, acknowledgements      the group's stream   Stream.Tail, Results
//	durable frame number, refusals    journal              Stream.Durable
//	fencing epoch                     KV                   Epochs
//
//	emits                             to                   through
//	frames                            the group's stream   Stream.Publish
//	a stream that starts again        the bus              Stream.Recreate
//	capture.state-changed             everyone             Publisher
//	capture.progress, capture.alarm   everyone             Publisher
//
// # Who owns what
//
//	order (order.go)      what the group's one lock guards: the outbox of frames,
//	                      the state, the health of taps, the range that is copied
//	guestIO (guest_io.go) the guests' reads and writes, and the table of those in
//	                      flight
//	sender (sender.go)    the place in the stream, epochs, go back N
//	copier (copier.go)    seed and resync of an inline group
//	passes (pass_loop.go) seed, resync and cycles of a frozen group
//	notes (notes.go)      facts on their way to listeners
//	kept (facts_kept.go)  changes of state and alarms that wait for the bus
//
// # The way of one write
//
//  1. Its range is entered in the flight table (inflight.go), which keeps
//     overlapping writes apart and is the intent a restart finds after kill -9.
//  2. It is written to the disk (guest_io.go). An error is the guest's, and leaves
//     the region dirty.
//  3. Under the group's one lock it is appended to the open frame in the window
//     (record.go). Where the region is dirty, or no frame has room, it only sets
//     the region's dirty bit.
//  4. The guest has its reply. Nothing above waited for the bus. The exception:
//     while a tap's client makes its full copy, a write may wait a moment for a
//     slot.
//  5. The sender closes frames when they are full or the line is idle, seals and
//     publishes them. A frame leaves the window once the journal has it, or, when
//     room is short, once the stream has it.
//
// # The way of a pass
//
// The disks of a VM can be read only as of a moment. For a frozen group (a tap
// with Job.Frozen, and cbt) what is dirty is sent in passes, one at a time:
//
//  1. A pass is due: a tap's client reports every write (Live) and something is
//     dirty, or may be; a cbt group's cadence is up, or a cycle was asked for.
//     Snapshots that an earlier process left are thawed first.
//  2. The pass is armed (pass_loop.go). From here on every write of a tap, to
//     dirty regions too, gets its place in a frame and is noted, sector by sector
//     (touched.go). A write that gets no place makes its region dirty for the next
//     pass, whatever this one does there.
//  3. Only then the snapshot is made. So it has each write that is not noted, and
//     where it is older than a write that has its place, that write was noted.
//  4. What has to be sent is found out (pass_resolve.go): what is dirty, and, where
//     nobody saw the writes, what changed since the change ids of an earlier
//     pass. The change ids of this pass replace them in the chain (chain.go) after
//     the dirty bits are on disk and before anything is sent: so a crash anywhere
//     leads to more work than needed, and to no hole.
//  5. Dirty ranges are read (pass_sweep.go), compared with the target's checksums
//     if it may have them (pass_verify.go), and put into frames without what was
//     touched.
//  6. The pass ends when nothing is left that it can send (pass_end.go). If nothing
//     is dirty at all, a frame of its own makes that a recovery point. That of a cbt
//     group has the snapshot's time, as all frames of a cycle. The disks are closed,
//     and the snapshot is removed.
//
// A tap that missed writes, nobody knows where (its client went, capture
// started), is blind, and not consistent, until a pass that was armed after Live
// has found out what changed. A goodbye is no better than silence: it comes
// when the filter is detached from a machine that goes on writing, and a machine
// that was powered off may be started without a filter. The writes until then make
// a last point, with the time of the last write. There is no later point before
// that pass: points are made only while it is known that every write is reported,
// and the RPO grows while a machine is off.
//
// # Two histories
//
// A place in the stream is taken without the journal, for the link may be down.
// The journal is asked only where the stream lacks what this side knows it had. So
// a stream that lost its newest frames may continue another history than the
// journal's, and the journal refuses what does not continue its own chain. Its
// reports show that (acks.go, strays): it has frames of another epoch after our
// base, or it names the frame it refuses. Then the journal is asked, and the stream
// starts again after its newest frame, in a new extent. What is not in the frames
// that follow is dirty: the activity, if that frame is one of ours (place.go);
// otherwise, and where content was compared with the journal's, everything. No
// recovery point is lost or made by it. While the link is down writes only set
// dirty bits, as in any other outage.
//
// An epoch is of one life of one capturer: it is above all epochs in mark, stream
// and journal. So a frame of the newest epoch proves what precedes it, and only
// such a frame lets activity be forgotten.
//
// # What is kept where
//
//	window (pkg/engine/window)  frames; usually tmpfs; outlives kill -9;
//	                            removed once the installation directory is gone
//	map (pkg/engine/dirty)      dirty regions, activity, intents, the mark; state dir
//	chain (chain.go)            change ids of a frozen group's last pass; state dir
//	tap ports (listen.go)       the port of each VM's tap; state dir
//	stream, journal             everything acknowledged
//	signing.key, signing.pub    the key that signs recovery points; state dir. The secret
//	                            half never leaves this machine
//
// A region whose content is in none of window, stream and journal is dirty:
// that invariant holds at every instruction.
//
// testdata has scripts that show the states; TestScripts runs them.
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
//	a comparison waited forever for frames that the         go test -run CyclesBecome -seed 100
//	stream had lost: it had nothing to send, and so did
//	not notice
//	points were made after the goodbye of a tap whose       go test -run Goodbye
//	machine wrote on: its filter had been detached
//	the last point of a client that vanished had the time   go test -run FrozenTap
//	at which that was noticed
//	an epoch taken for a place that was gone by then was    go test -race -run Whatever -count 5
//	not remembered, and the capturer fenced itself          (on a busy machine)
//	a frame that stream and journal had, whose answer a     go test -run 'Whatever|StreamLost'
//	killed capturer did not live to see, and that the
//	stream then lost, was made again under its number: the
//	journal refused all that followed, forever
//	what is dirty was forgotten because of the journal's    go test -run Whatever
//	report on a frame of an earlier life: of another
//	history, maybe
//	epochs that a server forgot with its power were given   go test -run StreamLost, and
//	out again: the journal refused them, forever            go test ../../e2e/robustness -run TestPowerLoss
//	a stream that was lost before an empty journal had      go test -run Scripts/empty_journal
//	anything of it was blamed on another capturer
package capture
