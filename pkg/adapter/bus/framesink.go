package bus

import (
	"context"
	"encoding/hex"
	"strconv"
	"sync"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/wake"
)

const (
	// maxOutstanding is how many frames may await a Result or have one unread.
	maxOutstanding = 1024
	// ackTimeout is how long after publishing an unacknowledged frame counts as lost.
	ackTimeout = 5 * time.Second
	// maxMessage is the longest message of a frame stream, in bytes.
	maxMessage = 1_000_000
	// MinSpool is the smallest useful bound of a spool, in bytes. It holds the
	// newest durable frame, which is never purged, and some of the longest ones. A
	// smaller spool may have no room for the next frame although all others are
	// durable, and replication stops for good.
	MinSpool = 4 * maxMessage
)

const (
	expectedLastSeq = "Nats-Expected-Last-Sequence"
	expectedLastID  = "Nats-Expected-Last-Msg-Id"
	writeTemplate   = subjects.Root + "write.v1.{site}.{group}"
)

// FrameSink is spool.Sink over JetStream: see there for what it promises.
type FrameSink struct {
	conn    *Conn
	stream  frameStream
	subject string
	inbox   string
	word    *nats.Subscription
	results chan spool.Result
	durable chan spool.Durable
	purge   chan cdp.FrameNo // the newest durable frame
	status  chan nats.Status
	busy    wake.Bell // there may be something to watch
	stop    context.CancelFunc
	wg      sync.WaitGroup

	streamMu sync.Mutex  // held while the stream is purged or recreated; locked first
	purged   cdp.FrameNo // guarded by streamMu

	pubMu sync.Mutex // guards the fields up to mu; locked before mu
	// blind: the stream's last message is unknown, so the next frame cannot name
	// it. Set by Tail and Recreate.
	blind bool
	msg   nats.Msg
	reply []byte

	mu  sync.Mutex
	gen uint64
	// out are the frames without a Result, in the order of publishing.
	// Invariant: len(out) + len(results) <= cap(results), so sending never blocks.
	out    []outstanding
	traced tracedFrames
	last   cdp.FrameNo // the newest frame that the stream is known to have
	still  stall
	closed bool
	// How many bytes were published since the last purge, and when that was.
	sincePurge int
	purgedAt   time.Time
}

type outstanding struct {
	no   cdp.FrameNo
	at   time.Time
	err  error // its outcome, while an earlier frame is still open
	span telemetry.Span
}

var _ spool.Sink = (*FrameSink)(nil)

// OpenFrames opens the stream of a group that is captured at this site for
// publishing, and makes it if it is missing, with the consumer through which the
// journal at target takes the frames. maxBytes bounds the spool, and should be
// MinSpool or more; it also applies to an existing stream. Frames that target
// reports durable are purged.
func OpenFrames(ctx context.Context, conn *Conn, group cdp.GroupID, target cdp.Site, maxBytes int64) (*FrameSink, error) {
	return openFrames(ctx, conn, group, target, fixed(maxBytes))
}

func openFrames(ctx context.Context, conn *Conn, group cdp.GroupID, target cdp.Site, room room) (*FrameSink, error) {
	const op = "open frame stream"
	for field, name := range map[string]string{"group": string(group), "target": string(target)} {
		if err := cdp.CheckName(field, name); err != nil {
			return nil, cdp.Wrap(err, op, string(group))
		}
	}
	s := &FrameSink{
		conn: conn, stream: frameStream{conn: conn, group: group, target: target, room: room},
		subject: subjects.WriteSubject(conn.site, group),
		results: make(chan spool.Result, maxOutstanding), durable: make(chan spool.Durable, 1), purge: make(chan cdp.FrameNo, 1),
		busy: wake.New(),
	}
	if err := s.stream.ensure(ctx); err != nil {
		return nil, wrap(err, op, string(group))
	}
	var err error
	s.msg = nats.Msg{Subject: s.subject, Header: nats.Header{
		expectedLastSeq: make([]string, 1), expectedLastID: make([]string, 1), nats.MsgIdHdr: make([]string, 1)}}
	if s.inbox, err = conn.acks.join(conn.nc, InboxPrefix(conn.name)+".", s); err != nil {
		return nil, wrap(err, op, string(group))
	}
	if s.word, err = conn.nc.Subscribe(subjects.AckSubject(conn.site, target, group), s.onDurable); err != nil {
		conn.acks.leave(s.inbox)
		return nil, wrap(err, op, string(group))
	}
	s.status = conn.nc.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	run, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.wg.Go(func() { s.watch(run) })
	s.wg.Go(func() { s.purgeDurable(run) })
	return s, nil
}

// Publish implements spool.Sink. Some frames begin a trace of their own.
func (s *FrameSink) Publish(f frame.Frame) error {
	return s.publish(context.Background(), f, s.conn.tel.Frame(f.No))
}

// PublishIn is Publish as a part of the trace in ctx: what asked for a recovery
// point, the frame that marks it and what the journal does with it are one.
func (s *FrameSink) PublishIn(ctx context.Context, f frame.Frame) error {
	return s.publish(ctx, f, s.conn.tel.On())
}

func (s *FrameSink) publish(ctx context.Context, f frame.Frame, sampled bool) error {
	s.pubMu.Lock()
	defer s.pubMu.Unlock()
	o := outstanding{no: f.No, at: time.Now()}
	if sampled {
		o.span = s.conn.tel.Send(ctx, telemetry.Message{Subject: s.subject, Template: writeTemplate, ID: strconv.FormatUint(uint64(f.No), 10)}, s.msg.Header)
	}
	s.mu.Lock()
	if s.closed || len(s.out)+len(s.results) >= maxOutstanding {
		closed := s.closed
		s.mu.Unlock()
		err := cdp.Errorf(cdp.Transient, "publish frame", s.subject, "%d frames await a result or have one unread, the maximum", maxOutstanding)
		if closed {
			err = cdp.Errorf(cdp.Internal, "publish frame", s.subject, "the frame stream was closed by its owner")
		}
		o.span.End(err)
		return err
	}
	s.out = append(s.out, o)
	if sampled {
		s.traced.add(f.No, o.span.Trace())
	}
	gen := s.gen
	s.mu.Unlock()

	b := append(append(s.reply[:0], s.inbox...), '.')
	b = strconv.AppendUint(b, gen, 10)
	b = strconv.AppendUint(append(b, '.'), uint64(f.No), 10)
	s.reply = b
	s.msg.Reply, s.msg.Data = string(b), f.Bytes()
	s.msg.Header[expectedLastSeq][0] = strconv.FormatUint(uint64(f.No-1), 10)
	s.msg.Header[nats.MsgIdHdr][0] = hex.EncodeToString(f.Hash[:])
	// The sequence alone does not fence: a frame of a killed capturer that is
	// still on the wire could enter between two of ours, under the number of the
	// second. So a frame also names the one it follows.
	if s.blind || f.Prev == (frame.Hash{}) {
		delete(s.msg.Header, expectedLastID)
	} else {
		s.msg.Header[expectedLastID] = []string{hex.EncodeToString(f.Prev[:])}
	}
	size := len(s.msg.Data)
	err := s.conn.nc.PublishMsg(&s.msg)
	s.busy.Ring()
	s.blind = s.blind && err != nil
	s.msg.Data = nil
	if sampled {
		delete(s.msg.Header, "traceparent")
		delete(s.msg.Header, "tracestate")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.sincePurge += size
		return nil
	}
	err = wrap(err, "publish frame", s.subject)
	if n := len(s.out); s.gen == gen && n > 0 && s.out[n-1].no == f.No {
		s.out = s.out[:n-1]
	}
	o.span.End(err)
	return err
}

// Results implements spool.Sink.
func (s *FrameSink) Results() <-chan spool.Result { return s.results }

// Reset implements spool.Sink.
func (s *FrameSink) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gen++
	for _, o := range s.out {
		o.span.End(cdp.Errorf(cdp.Transient, "publish frame", s.subject, "dropped"))
	}
	s.out = s.out[:0]
	for len(s.results) > 0 {
		<-s.results
	}
}

// Durable implements spool.Sink.
func (s *FrameSink) Durable() <-chan spool.Durable { return s.durable }

// Close ends the subscriptions; the stream stays.
func (s *FrameSink) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.conn.acks.leave(s.inbox)
	_ = s.word.Unsubscribe() // fails only if the connection is closed, which ends the subscription too
	s.wg.Wait()
	s.Reset()
	return nil
}

func (s *FrameSink) onDurable(m *nats.Msg) {
	if d, ok := unpackDurable(m.Data); ok {
		s.noteDurable(d)
		newest(s.durable, d)
		newest(s.purge, d.No)
	}
}

// newest replaces the content of a channel with room for one value by v.
func newest[T any](ch chan T, v T) {
	for {
		select {
		case ch <- v:
			return
		default:
		}
		select {
		case <-ch:
		default:
		}
	}
}
