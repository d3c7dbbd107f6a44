package bus

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/engine/spool"
)

const (
	// pullBytes and pullBatch bound what is asked for and not yet handled. A
	// request is topped up when half of either is used.
	pullBytes = 8 << 20
	pullBatch = 2048
	// pullBeat is the interval of the server's heartbeats; three missed ones mean
	// that the link is down.
	pullBeat = 500 * time.Millisecond
	// pullIdle is how long ago the last frame but one came if a group counts as idle:
	// the mark of a recovery point is one frame alone. The heartbeats of one that may
	// not rest yet are as rare as the server allows.
	pullIdle     = 5 * time.Second
	pullIdleBeat = pullExpiry / 2
	// pullExpiry is how long a request waits for frames. It is short,
	// because the requests of a killed journal take frames until they expire.
	pullExpiry = 3 * time.Second
	// pullStale is how long after a reset a heartbeat may be from before it: the
	// requests of the session before still get them. If each one began another
	// session, more would come than sessions begin, and no frame would ever be
	// reached.
	pullStale = pullExpiry + 2*pullBeat
	// pullLate is how long after a later reset frames may still come that were sent
	// before it: what was asked for, over a slow link.
	pullLate = 30 * time.Second
	// retryMin and retryMax bound the wait between attempts to join.
	retryMin = 50 * time.Millisecond
	retryMax = time.Second
)

// puller is the state of one Pull. Order and continuity rest on next alone: the
// consumer keeps no cursor (its messages are not acknowledged), and is reset to
// next whenever it is in doubt.
type puller struct {
	src    *FrameSource
	next   cdp.FrameNo
	fn     func(spool.Message) error
	status func(spool.Status)
	state  spool.State

	// sub receives the answers to all requests of this Pull, those of earlier
	// sessions included, so that no frame is wasted.
	sub *nats.Subscription
	// heard counts the messages received since the consumer was reset. If the
	// consumer's own count differs, somebody else got some of them.
	heard uint64
	// reset is when the consumer was reset, and sessions how often.
	reset    time.Time
	sessions int
	// moved is when the newest frame came, before when the one before it came, or the
	// session began. beat is what the newest request has for heartbeats, and resting
	// whether it is for one frame: see lookout.
	moved, before time.Time
	beat          time.Duration
	resting       bool
	lookout       *lookout
	// asked for and not yet received, over all requests
	msgs, bytes int
	// suspect is a frame that came instead of the expected one. It counts as a
	// gap only if it comes again.
	suspect cdp.FrameNo
}

var (
	errAgain = errors.New("join again")
	errUser  = errors.New("the receiver failed")
)

// Pull implements spool.Source.
func (s *FrameSource) Pull(ctx context.Context, from cdp.FrameNo, status func(spool.Status), fn func(spool.Message) error) error {
	if from == 0 {
		return cdp.Errorf(cdp.Invalid, "pull frames", string(s.grp), "the first frame cannot be 0")
	}
	if status == nil {
		status = func(spool.Status) {}
	}
	sub, err := s.conn.nc.SubscribeSync(s.conn.nc.NewInbox())
	if err != nil {
		return wrap(err, "pull frames", string(s.grp))
	}
	_ = sub.SetPendingLimits(-1, -1)                                 // bounded by what is asked for
	stop := context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() }) // wakes NextMsg
	defer func() {
		if stop() {
			_ = sub.Unsubscribe()
		}
	}()
	p := &puller{src: s, next: from, fn: fn, status: status, sub: sub, lookout: s.conn.lookoutFor(s.site)}
	return p.run(ctx)
}

// run joins the stream again and again.
func (p *puller) run(ctx context.Context) error {
	defer p.lookout.seek(p, true) // whether it does or not, nobody looks for it any more
	wait := clock.Backoff{Min: retryMin, Max: retryMax}
	for {
		before := p.next
		err := p.session(ctx)
		p.lookout.leave(p, ctx.Err() == nil && isLink(err))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errUser):
			return errors.Unwrap(err)
		case cdp.Is(err, cdp.Corrupt):
			return err
		case errors.Is(err, errAgain):
		default:
			p.tell(spool.Status{State: spool.LinkDown, Err: p.fail(err)})
		}
		if p.next > before {
			wait.Reset()
		}
		if err := clock.Sleep(ctx, clock.System, max(wait.Next(), p.lookout.spread(p))); err != nil {
			return err
		}
	}
}

func (p *puller) fail(err error) error { return wrap(err, "pull frames", string(p.src.grp)) }

// userError carries fn's error out of the loop.
type userError struct{ cause error }

func (e userError) Error() string        { return e.cause.Error() }
func (e userError) Unwrap() error        { return e.cause }
func (e userError) Is(target error) bool { return target == errUser }

func (p *puller) tell(st spool.Status) {
	if st.State != p.state {
		p.state = st.State
		p.status(st)
	}
}

// session joins the stream at next and receives until something is in doubt.
func (p *puller) session(ctx context.Context) error {
	if err := p.join(ctx); err != nil {
		return err
	}
	p.heard, p.msgs, p.bytes, p.reset = 0, 0, 0, time.Now()
	p.moved, p.before, p.beat, p.resting = p.reset, p.reset, pullBeat, false
	p.sessions++
	for {
		if err := p.ask(); err != nil {
			return err
		}
		m, err := p.receive(ctx)
		switch {
		case errors.Is(err, errWatch):
			continue
		case errors.Is(err, errRejoin):
			return errAgain
		case err != nil:
			return err
		}
		if err := p.take(m); err != nil {
			return err
		}
	}
}

func (p *puller) receive(ctx context.Context) (*nats.Msg, error) {
	if p.resting {
		return p.lookout.rest(ctx, p)
	}
	return p.sub.NextMsg(3 * p.beat)
}

// join resets the consumer to the frame before the next. That one is usually
// kept, and shows at once that the stream goes on where the journal is; a stream
// that ends before it stays silent.
func (p *puller) join(ctx context.Context) error {
	end, err := p.lookout.turn(ctx)
	if err != nil {
		return err
	}
	defer end()
	err = p.src.conn.ask(ctx, p.src.request("INFO"), nil, nil)
	missing := cdp.Is(wrap(err, "", ""), cdp.NotFound)
	p.lookout.seek(p, !missing)
	if missing {
		p.tell(spool.Status{State: spool.NoStream, Err: p.fail(err)})
		return errAgain
	}
	if err != nil {
		return err
	}
	req := struct {
		Sequence uint64 `json:"seq"`
	}{uint64(max(p.next-1, 1))}
	return p.src.conn.ask(ctx, p.src.request("RESET"), req, nil)
}

// lost reports that the stream no longer has the next frame and begins with
// first.
func (p *puller) lost(first cdp.FrameNo) error {
	if p.suspect != first {
		p.suspect = first
		return errAgain
	}
	e := cdp.Errorf(cdp.Corrupt, "pull frames", string(p.src.grp), "expected frame %d, but the stream begins with %d", p.next, first)
	return e.WithHint("frames were lost at the source before they were durable; capture is notified and resyncs their blocks")
}

// ask tops the outstanding requests up.
func (p *puller) ask() error {
	idle, watch := time.Since(p.before) > p.lookout.idle, p.lookout.stand(p)
	if idle && !watch && p.heard > 0 {
		if p.msgs > 0 {
			return nil // it rests once that has ended
		}
		p.resting = true
		return p.request(1, maxMessage+4096, restExpiry, restBeat)
	}
	if !p.resting && p.msgs > pullBatch/2 && p.bytes > pullBytes/2 {
		return nil
	}
	p.resting = false
	batch, size := pullBatch-p.msgs, pullBytes-p.bytes
	if batch <= 0 || size < maxMessage+4096 {
		if p.msgs > 0 {
			return nil
		}
		batch, size = pullBatch, pullBytes
	}
	beat := pullBeat
	if idle && !watch {
		beat = pullIdleBeat
	}
	return p.request(batch, size, pullExpiry, beat)
}

// request asks for some frames, of size bytes at most.
func (p *puller) request(batch, size int, expiry, beat time.Duration) error {
	b := make([]byte, 0, 128)
	b = append(strconv.AppendInt(append(b, `{"batch":`...), int64(batch), 10), `,"max_bytes":`...)
	b = append(strconv.AppendInt(b, int64(size), 10), `,"expires":`...)
	b = append(strconv.AppendInt(b, int64(expiry), 10), `,"idle_heartbeat":`...)
	b = append(strconv.AppendInt(b, int64(beat), 10), '}')
	p.msgs, p.bytes, p.beat = p.msgs+batch, p.bytes+size, beat
	return p.src.conn.nc.PublishRequest(p.src.request("MSG.NEXT"), p.sub.Subject, b)
}

// take handles one message: a frame or a status message.
func (p *puller) take(m *nats.Msg) error {
	if len(m.Data) == 0 && len(m.Header) > 0 {
		return p.word(m.Header)
	}
	md, err := m.Metadata()
	if err != nil {
		return nil // somebody's stray message to the inbox
	}
	p.got(1, m.Size())
	no := cdp.FrameNo(md.Sequence.Stream)
	switch {
	case md.Sequence.Consumer == p.heard+1:
	case p.heard == 0:
		return p.early()
	default:
		return errAgain // somebody else got messages from the consumer, or reset it
	}
	if no+1 < p.next {
		return nil // from before the reset, too
	}
	p.heard++
	if no > p.next {
		return p.lost(no)
	}
	p.tell(spool.Status{State: spool.Flowing})
	if no < p.next {
		return nil
	}
	if err := p.fn(spool.Message{No: no, Data: m.Data, Header: m.Header, Stored: md.Timestamp}); err != nil {
		return userError{err}
	}
	p.next++
	p.before, p.moved = p.moved, time.Now()
	return nil
}

// early is what to do with a frame that is not the first since the reset, before
// that one came. It may have been sent before the reset. Or the first went to
// somebody else, as to the open requests of a journal that was killed: then it never
// comes, and while frames flow no heartbeat tells.
func (p *puller) early() error {
	wait := pullLate
	if p.sessions == 1 { // nothing was sent here before
		wait = pullStale
	}
	if time.Since(p.reset) < wait {
		return nil
	}
	return errAgain
}

// got counts down what is asked for. What came for requests of a former session
// was not counted.
func (p *puller) got(msgs, bytes int) {
	if p.msgs, p.bytes = max(0, p.msgs-msgs), max(0, p.bytes-bytes); p.msgs == 0 {
		p.bytes = 0
	}
}

// word handles a status message.
func (p *puller) word(h nats.Header) error {
	switch h.Get("Status") {
	case "100":
		return p.heartbeat(h)
	case "408", "409":
		n, err := strconv.Atoi(h.Get("Nats-Pending-Messages"))
		if err != nil {
			return errAgain // the consumer or its server is gone
		}
		size, _ := strconv.Atoi(h.Get("Nats-Pending-Bytes"))
		p.got(n, size)
		return nil
	}
	return errors.New("bus: " + h.Get("Status") + " " + h.Get("Description"))
}

// heartbeat handles one, which means that nothing waits to be sent. It carries
// how many messages the consumer has delivered since it was reset, and the frame
// up to which it has read.
func (p *puller) heartbeat(h nats.Header) error {
	given, err1 := strconv.ParseUint(h.Get("Nats-Last-Consumer"), 10, 64)
	last, err2 := strconv.ParseUint(h.Get("Nats-Last-Stream"), 10, 64)
	if err1 != nil || err2 != nil {
		return nil
	}
	if given != p.heard {
		if p.heard == 0 && time.Since(p.reset) < pullStale {
			return nil
		}
		return errAgain
	}
	switch at := cdp.FrameNo(last) + 1; {
	case at == p.next:
		p.tell(spool.Status{State: spool.Flowing})
		return nil
	case at > p.next:
		return p.lost(at)
	}
	// Reset to the frame before the next, it has not found even that place.
	p.tell(spool.Status{State: spool.Behind, Err: cdp.Errorf(cdp.Conflict, "pull frames", string(p.src.grp), "the stream ends before frame %d, the journal's newest", p.next-1)})
	return errAgain
}
