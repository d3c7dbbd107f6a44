package capture

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool"
)

// Stream is a group's frames on the bus. One goroutine calls it. Its channels
// never block whoever fills them for long: the group reads both all the time it
// runs, but an adapter must not hold a lock while it sends.
type Stream interface {
	// Tail is the sequence of the stream's last message, 0 if it never had one,
	// and that frame's header; nil when the message is gone.
	Tail(ctx context.Context) (no cdp.FrameNo, last *frame.Header, err error)
	// Publish sends f and does not wait. The stream takes it only if its last
	// sequence is f.No-1 and its last message is the frame with hash f.Prev
	// (JetStream: the headers Nats-Expected-Last-Sequence and, with the frame's
	// hash as message id, Nats-Expected-Last-Msg-Id). Only right behind a Recreate, or a Tail
	// whose message was gone, is the second condition left out. The sequence
	// alone is not enough: of the frames that a killed capturer still had on
	// the wire, one could slip in between two of ours under the number of the
	// second, and break the chain for good. A frame that the stream has already
	// under its number may count as taken. f's bytes are not used after it returned. An error means
	// that f was not sent; else the outcome comes on Results.
	Publish(f frame.Frame) error
	// Results has one Result per Publish, in that order. Kinds of errors:
	// Conflict, the stream's last sequence was another; Full; Transient. After
	// an error the frames published behind it fail too, with any of these.
	Results() <-chan Result
	// Reset forgets what is outstanding: no Result of an earlier Publish comes
	// any more. The frames may still reach the stream.
	Reset()
	// Durable tells how far the journal has the group on disk: cumulative, and
	// only the newest matters, so older ones may be left out.
	Durable() <-chan Durable
	// Recreate replaces the stream by an empty one whose first message will
	// have sequence first, so that Tail gives first-1.
	Recreate(ctx context.Context, first cdp.FrameNo) error
	// Close gives up the stream's resources.
	Close() error
}

// Result is the outcome of a Publish.
type Result = spool.Result

// Durable is the journal's word.
type Durable = spool.Durable

// Epochs gives out fencing numbers.
type Epochs interface {
	// Next is higher than every epoch given out for the group before that is
	// known, by this or any other capturer, and than held. Those that were given
	// out just before a loss of power may be forgotten. Transient when it cannot
	// be asked.
	// held is the one this capturer has, 0 if it has none yet: if a higher one
	// was given to another since, the answer is Fenced. Only so does the newer of
	// two win, whichever publishes first.
	Next(ctx context.Context, group cdp.GroupID, held cdp.Epoch) (cdp.Epoch, error)
}

// Journal answers for the group's journal at the target.
type Journal interface {
	// Cursor is the newest frame that is durable; zeros for an empty journal.
	// Transient when it cannot be reached.
	Cursor(ctx context.Context, group cdp.GroupID) (admission.State, error)
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
	From, To State
	Reason   string
	At       time.Time
}

// Progress of a seed or resync, in bytes. Total can grow while it runs.
type Progress struct {
	Group       cdp.GroupID
	State       State
	Done, Total int64
	At          time.Time
}

// Disk is what an inline export stands on, or a tap's reference. Calls may be
// concurrent.
type Disk interface {
	// Size in bytes, a multiple of cdp.SectorSize; it does not change.
	Size() int64
	ReadAt(p []byte, off int64) error
	WriteAt(p []byte, off int64) error
	// Zero makes the range read as zeros; see ZeroFlags.
	Zero(off, n int64, flags ZeroFlags) error
	// Sync returns once every write that returned before is durable.
	Sync() error
	// Extents describes the disk from off, up to n bytes or less, at least one.
	Extents(off, n int64) []Extent
	Close() error
}

// Extent is a run of a disk. A hole reads as zeros.
type Extent struct {
	Length int64
	Hole   bool
}

// ZeroFlags are those of pkg/adapter/nbd, for Disk.Zero.
type ZeroFlags uint8

const (
	// NoHole: the range stays allocated.
	NoHole ZeroFlags = 1 << iota
	// Fast: fail with EOPNOTSUPP, having changed nothing, unless it is quick.
	Fast
)
