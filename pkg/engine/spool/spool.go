package spool

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// Result is what became of a published frame.
type Result struct {
	No cdp.FrameNo
	// Err is nil when the stream has the frame. Otherwise its kind is Conflict (the
	// stream's last frame is another), Full (no room), or Transient (no answer
	// came: the frame may or may not be there).
	Err error
}

// Durable is what the journal reports: every frame up to No is on its disk.
type Durable struct {
	No    cdp.FrameNo
	Epoch cdp.Epoch // of the newest frame stored
	// Refused is the frame that the journal cannot take from the stream, 0 for
	// none: the stream does not continue where the journal ends. By is that frame's
	// epoch, 0 if the stream no longer has it.
	Refused cdp.FrameNo
	By      cdp.Epoch
}

// Sink is the stream as capture sees it. One goroutine publishes and reads the
// results; the methods may be called from any.
type Sink interface {
	// Tail is the number of the stream's last frame, 0 before the first, and
	// its header, nil if the frame itself is no longer kept. NotFound means
	// that the stream is gone: see Recreate.
	Tail(ctx context.Context) (cdp.FrameNo, *frame.Header, error)
	// Publish sends f, to follow frame f.No-1 with hash f.Prev and no other. Only
	// where the last frame cannot be known (Tail returned none, or right after
	// Recreate) the number alone decides. It returns before f is stored. It copies:
	// f's memory is the caller's again when Publish returns. An error means that f
	// was not sent, and no Result follows.
	Publish(f frame.Frame) error
	// Results has one Result per published frame, in the order of publishing.
	// After the first error the following ones are void: the caller calls Reset,
	// asks Tail, and publishes again from there.
	Results() <-chan Result
	// Reset drops all outstanding frames: none of them gives a Result any more.
	Reset()
	// Durable has the journal's newest report; older ones are skipped. A report may
	// be repeated, and after a restart of the journal it may go back. The sink
	// soon purges the frames before the durable one; the durable frame itself, and
	// the stream's last, are kept.
	Durable() <-chan Durable
	// Recreate makes the stream anew; the next frame is first. An existing stream
	// is kept if it is empty and continues at first; otherwise it is replaced, and
	// its frames are lost.
	Recreate(ctx context.Context, first cdp.FrameNo) error
	Close() error
}

// Message is one frame as it comes out of the stream.
type Message struct {
	No cdp.FrameNo
	// Data are the frame's bytes, not checked. They belong to the receiver.
	Data []byte
	// Header are the message's headers; nil for most.
	Header map[string][]string
	// Stored is when the stream took the frame, on its server's clock.
	Stored time.Time
}

// Status is the state of a Pull.
type Status struct {
	State State
	// First and Last are the stream's, when they are known.
	First, Last cdp.FrameNo
	// Err is why it does not flow, if it does not.
	Err error
}

// State is what a Pull is doing.
type State string

const (
	// Flowing: joined to the stream; frames come as they are published.
	Flowing State = "flowing"
	// LinkDown: the source site's bus cannot be reached. It keeps trying.
	LinkDown State = "link down"
	// NoStream: the source site is there, the stream is not; it keeps trying.
	NoStream State = "no stream"
	// Behind: the stream ends before the cursor, as one made anew by mistake
	// does; it keeps trying until the stream is recreated at the cursor.
	Behind State = "behind"
)

// Source is the stream as the journal sees it, from the target site.
type Source interface {
	// Pull calls fn for each frame from the number from on: in order, without
	// gap, each once per Pull. It goes on over cut links and restarted servers
	// until ctx is done (the error is ctx's), fn fails (fn's error), or the
	// stream has lost frames from its cursor on (Corrupt). status, if not nil,
	// is called on each change of state. There is one Pull of a group at a time:
	// two would take frames from each other. fn and status are called from one
	// goroutine; while fn runs, at most a few MiB are received ahead of it.
	Pull(ctx context.Context, from cdp.FrameNo, status func(Status), fn func(Message) error) error
	// PublishDurable reports to capture, whose side of the stream then purges the
	// frames before d.No. It may be lost: the caller repeats it.
	PublishDurable(d Durable) error
}
