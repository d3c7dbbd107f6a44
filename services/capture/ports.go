package capture

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/block"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool"
)

// Jobs are the specs of jobs, of every target site: those of this site, and the
// copies that are here of the others', so that a restart needs no link.
type Jobs interface {
	// Watch calls fn, from one goroutine, with every job and then with every
	// change until ctx ends; job is nil when it was deleted. target is the site
	// that has the spec. Jobs of other sources may come, too, and are ignored. Calls
	// for different targets may be concurrent.
	Watch(ctx context.Context, fn func(target cdp.Site, name string, job *spec.ReplicationJob) error) error
	// Wanted reports whether any target has a job of that name whose source is this
	// site.
	Wanted(ctx context.Context, name string) (bool, error)
}

// Runs says which jobs are wanted to replicate. A job that is never mentioned is
// not.
type Runs interface {
	// Watch is as Jobs.Watch.
	Watch(ctx context.Context, fn func(target cdp.Site, name string, running bool) error) error
}

// TapBase says where I/O filters reach the taps of VMs.
type TapBase interface {
	// Address is the host and the first of the ports to listen on; "" if the site
	// has none.
	Address(ctx context.Context) (string, error)
}

// Publisher publishes facts; it returns when they are kept.
type Publisher interface {
	Emit(ctx context.Context, p event.Payload) error
}

// Streams are the frame streams of the site.
type Streams interface {
	// Open opens the stream of a group whose journal is at target, and makes it if
	// there is none. Transient when the bus cannot be reached, Full when there is
	// no room for one more stream. The stream may be a
	// TracedStream.
	Open(ctx context.Context, group cdp.GroupID, target cdp.Site) (Stream, error)
	// Delete removes a group's stream with its frames; none is no error.
	Delete(ctx context.Context, group cdp.GroupID) error
	// Use is how the disk space for frames is divided among the streams that exist.
	Use() api.SpoolUse
}

// TracedStream is a Stream that can say what a frame belongs to.
type TracedStream interface {
	Stream
	// PublishIn is Publish as a part of the trace in ctx.
	PublishIn(ctx context.Context, f frame.Frame) error
	// Traced is the newest frame up to no that is part of a trace, and the id of that
	// trace; empty if there is none that was not returned before.
	Traced(no cdp.FrameNo) (frame cdp.FrameNo, trace string)
}

// Stream is a group's frames on the bus. One goroutine calls it. Its channels
// never block their sender for long: the group reads both as long as it runs.
// Still, an adapter must not hold a lock while it sends.
type Stream interface {
	// Tail is the sequence of the stream's last message, 0 if it never had one,
	// and that frame's header; nil when the message is gone.
	Tail(ctx context.Context) (no cdp.FrameNo, last *frame.Header, err error)
	// Publish sends f and does not wait. The stream takes it only if its last
	// sequence is f.No-1 and its last message is the frame with hash f.Prev
	// (JetStream: the headers Nats-Expected-Last-Sequence and, with the frame's
	// hash as message id, Nats-Expected-Last-Msg-Id). The second condition is left out only right
	// after a Recreate, or a Tail whose message was gone. The sequence alone is not
	// enough: of the frames that a killed capturer still had on the wire, one could
	// slip in between two of ours, with the number of the second, and break the
	// chain for good. A frame that the stream has already under its number may count
	// as taken. f's bytes are not used after Publish returned. An error means that f
	// was not sent; otherwise the outcome comes on Results.
	Publish(f frame.Frame) error
	// Results has one Result per Publish, in that order. Kinds of errors:
	// Conflict, the stream's last sequence was another; Full; Transient. After
	// an error the frames published after it fail too, with any of these.
	Results() <-chan Result
	// Reset forgets what is outstanding: no Result of an earlier Publish comes
	// any more. The frames may still reach the stream.
	Reset()
	// Durable reports up to where the journal has the group on disk. It is
	// cumulative and only the newest counts, so older ones may be left out.
	Durable() <-chan Durable
	// Recreate replaces the stream by an empty one whose first message will
	// have sequence first, so that Tail gives first-1.
	Recreate(ctx context.Context, first cdp.FrameNo) error
	// Close gives up the stream's resources.
	Close() error
}

// Result is the outcome of a Publish.
type Result = spool.Result

// Durable is the journal's report.
type Durable = spool.Durable

// Epochs gives out fencing numbers.
type Epochs interface {
	// Next is higher than every epoch given out for the group before that is
	// known, by this or any other capturer, and than held. Those that were given
	// out just before a loss of power may be forgotten. Transient when nobody can be
	// asked.
	// held is the one this capturer has, 0 if it has none yet: if a higher one was
	// given to another since, the answer is Fenced. So the newer of two always wins,
	// whichever publishes first.
	Next(ctx context.Context, group cdp.GroupID, held cdp.Epoch) (cdp.Epoch, error)
}

// Journal asks the journals at the targets.
type Journal interface {
	// Cursor is the newest frame that is durable; zeros for an empty journal.
	// Transient when it cannot be reached.
	Cursor(ctx context.Context, target cdp.Site, group cdp.GroupID) (admission.State, error)
}

// Events hears of facts. Calls come from one goroutine per group, in order; a
// slow listener loses some of them and delays nobody.
type Events interface {
	StateChanged(Change)
	Progress(Progress)
	// ListenerFailed: a guest's NBD client was refused or its listener failed.
	ListenerFailed(group cdp.GroupID, err error)
}

// Change is a group's step from one state to another.
type Change struct {
	Group    cdp.GroupID
	From, To event.CaptureState
	Reason   string
	At       time.Time
}

// Progress of a seed or resync, in bytes. Total can grow while it runs.
type Progress struct {
	Group       cdp.GroupID
	State       event.CaptureState
	Done, Total int64
	At          time.Time
}

// Disk is a disk that capture reads and, inline, writes: the disk of an inline
// export, a tap's reference, or a frozen disk. Calls may be concurrent.
type Disk interface {
	block.StatusDevice
	Close() error
}

// Witness is a Disk that shows what others do to it, as far as that can be seen.
type Witness interface {
	// Stamp says which file it is, "" where nothing tells, and when that was last
	// written.
	Stamp() (file string, written time.Time)
	// WrittenByOthers reports whether somebody else has written it since the last call.
	WrittenByOthers() bool
	// Replaced reports whether its path means something else by now.
	Replaced() bool
}

// DiskServers serve disks to NBD clients.
type DiskServers interface {
	// Ready is why Serve would fail there whatever the disks are, such as a
	// certificate that cannot be read. It is asked before the disks that are served
	// now are closed; whether the address is free shows only then.
	Ready(at Listen) error
	// Serve serves disks until the server is closed. A unix socket that nobody
	// listens on is replaced; anything else there is left alone: Conflict.
	// failed hears of a client that was refused, and of a listener that failed for
	// good.
	Serve(at Listen, disks []ServedDisk, failed func(error)) (DiskServer, error)
	// Look says what is at an address where disks are to be served: the path of a
	// socket, or host:port.
	Look(address string) api.DiskFacts
	// URI is how a client addresses a disk that is served there.
	URI(at Listen, disk string) string
}

// DiskServer is what serves some disks. Once Close has returned no client uses
// them any more.
type DiskServer interface {
	// Clients names who is connected, one text for each connection.
	Clients() []string
	Close() error
}

// ServedDisk is a disk for DiskServers.
type ServedDisk struct {
	Group  cdp.GroupID // whose disk it is
	Name   string
	Device block.StatusDevice
	// Shared: clients may spread requests over several connections.
	Shared bool
	// Connected is called when a client gets the disk, and then Disconnected when
	// it is gone, once none of its requests is left; clean: it said goodbye.
	Connected    func()
	Disconnected func(clean bool)
}
