package bus

import (
	"context"
	"errors"
	"strconv"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/spool"
)

const (
	// pullBytes and pullBatch bound what is asked for and not yet handled. A
	// request is topped up when half of either is used.
	pullBytes = 8 << 20
	pullBatch = 2048
	// pullBeat is how often the server says that it is there; three beats
	// without a word mean that the link is down.
	pullBeat   = 500 * time.Millisecond
	pullExpiry = 30 * time.Second
	// retryMin and retryMax bound the wait between attempts to join.
	retryMin = 50 * time.Millisecond
	retryMax = time.Second
)

// puller is the state of one Pull. Order and continuity rest on next alone: the
// consumer keeps no cursor (its messages are not acknowledged), and is made
// anew at next whenever it is in doubt.
type puller struct {
	src    *FrameSource
	next   cdp.FrameNo
	fn     func(spool.Message) error
	status func(spool.Status)
	state  spool.State

	consumer string
	inbox    string
	// asked for and not yet received, over all requests
	msgs, bytes int
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
	p := &puller{src: s, next: from, fn: fn, status: status}
	wait := retryMin
	for {
		before := p.next
		err := p.session(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errUser):
			return errors.Unwrap(err)
		case cdp.Is(err, cdp.Corrupt):
			return err
		case errors.Is(err, errAgain):
		default:
			p.tell(spool.Status{State: spool.LinkDown, Err: wrap(err, "pull frames", string(s.grp))})
		}
		if p.next > before {
			wait = retryMin
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, retryMax)
	}
}

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
	nc := p.src.conn.nc
	if err := p.look(ctx); err != nil {
		return err
	}
	p.consumer = "pull-" + nuid.Next()
	p.inbox = nc.NewInbox()
	sub, err := nc.SubscribeSync(p.inbox)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() }) // wakes NextMsg
	defer func() {
		if stop() {
			_ = sub.Unsubscribe()
		}
		p.leave()
	}()
	_ = sub.SetPendingLimits(-1, -1) // bounded by what is asked for
	if err := p.join(ctx); err != nil {
		return err
	}
	p.tell(spool.Status{State: spool.Flowing})
	p.msgs, p.bytes = 0, 0
	for {
		if err := p.ask(); err != nil {
			return err
		}
		m, err := sub.NextMsg(3 * pullBeat)
		if err != nil {
			return err
		}
		if err := p.take(m); err != nil {
			return err
		}
	}
}

// look asks the stream where it stands, and tells apart what may pass from
// what is lost.
func (p *puller) look(ctx context.Context) error {
	var info struct {
		State struct {
			First uint64 `json:"first_seq"`
			Last  uint64 `json:"last_seq"`
		} `json:"state"`
	}
	err := p.src.ask(ctx, "STREAM.INFO."+subjects.FrameStream(p.src.grp), nil, &info)
	var api *apiError
	if errors.As(err, &api) && api.ErrCode == codeStreamNotFound {
		p.tell(spool.Status{State: spool.NoStream, Err: wrap(err, "pull frames", string(p.src.grp))})
		return errAgain
	}
	if err != nil {
		return err
	}
	first, last := cdp.FrameNo(info.State.First), cdp.FrameNo(info.State.Last)
	switch {
	case first > p.next:
		return p.lost(first, last)
	case last+1 < p.next:
		p.tell(spool.Status{State: spool.Behind, First: first, Last: last,
			Err: cdp.Errorf(cdp.Conflict, "pull frames", string(p.src.grp), "the stream ends at %d, wanted %d", last, p.next)})
		return errAgain
	}
	return nil
}

func (p *puller) lost(first, last cdp.FrameNo) error {
	e := cdp.Errorf(cdp.Corrupt, "pull frames", string(p.src.grp), "wanted frame %d, the stream holds %d to %d", p.next, first, last)
	return e.WithHint("frames were lost at the source before they were durable: the capturer is told, and sends again what they held")
}

// join makes the consumer. Its filter names the group's subject, so that the
// permission to make one reaches no other stream.
func (p *puller) join(ctx context.Context) error {
	subject := subjects.WriteSubject(p.src.site, p.src.grp)
	type config struct {
		Name      string        `json:"name"`
		Ack       string        `json:"ack_policy"`
		Deliver   string        `json:"deliver_policy"`
		Start     uint64        `json:"opt_start_seq"`
		Replay    string        `json:"replay_policy"`
		Filter    string        `json:"filter_subject"`
		Memory    bool          `json:"mem_storage"`
		Threshold time.Duration `json:"inactive_threshold"`
	}
	req := struct {
		Stream string `json:"stream_name"`
		Config config `json:"config"`
	}{subjects.FrameStream(p.src.grp), config{
		Name: p.consumer, Ack: "none", Deliver: "by_start_sequence", Start: uint64(p.next),
		Replay: "instant", Filter: subject, Memory: true, Threshold: 10 * time.Second,
	}}
	return p.src.ask(ctx, "CONSUMER.CREATE."+subjects.FrameStream(p.src.grp)+"."+p.consumer+"."+subject, req, nil)
}

// leave removes the consumer, if it can be reached; else it ends by itself.
func (p *puller) leave() {
	nc := p.src.conn.nc
	_ = nc.Publish(p.src.api+".CONSUMER.DELETE."+subjects.FrameStream(p.src.grp)+"."+p.consumer, nil)
}

// ask tops the outstanding requests up.
func (p *puller) ask() error {
	if p.msgs > pullBatch/2 && p.bytes > pullBytes/2 {
		return nil
	}
	batch, size := pullBatch-p.msgs, pullBytes-p.bytes
	if batch <= 0 || size < maxMessage+4096 {
		if p.msgs > 0 {
			return nil
		}
		batch, size = pullBatch, pullBytes
	}
	b := make([]byte, 0, 128)
	b = append(strconv.AppendInt(append(b, `{"batch":`...), int64(batch), 10), `,"max_bytes":`...)
	b = append(strconv.AppendInt(b, int64(size), 10), `,"expires":`...)
	b = append(strconv.AppendInt(b, int64(pullExpiry), 10), `,"idle_heartbeat":`...)
	b = append(strconv.AppendInt(b, int64(pullBeat), 10), '}')
	p.msgs, p.bytes = p.msgs+batch, p.bytes+size
	return p.src.conn.nc.PublishRequest(p.src.api+".CONSUMER.MSG.NEXT."+subjects.FrameStream(p.src.grp)+"."+p.consumer, p.inbox, b)
}

// take handles one message: a frame or a word of the server.
func (p *puller) take(m *nats.Msg) error {
	if len(m.Data) == 0 && len(m.Header) > 0 {
		return p.word(m.Header)
	}
	md, err := m.Metadata()
	if err != nil {
		return nil // somebody's stray message to the inbox
	}
	p.msgs, p.bytes = p.msgs-1, p.bytes-m.Size()
	no := cdp.FrameNo(md.Sequence.Stream)
	switch {
	case no < p.next:
		return nil
	case no > p.next:
		return errAgain // look tells whether it is lost
	}
	if err := p.fn(spool.Message{No: no, Data: m.Data, Header: m.Header, Stored: md.Timestamp}); err != nil {
		return userError{err}
	}
	p.next++
	return nil
}

// word handles a status message.
func (p *puller) word(h nats.Header) error {
	switch h.Get("Status") {
	case "100": // heartbeat
		return nil
	case "408", "409":
		n, err := strconv.Atoi(h.Get("Nats-Pending-Messages"))
		if err != nil {
			return errAgain // the consumer or its server is gone
		}
		size, _ := strconv.Atoi(h.Get("Nats-Pending-Bytes"))
		p.msgs, p.bytes = p.msgs-n, p.bytes-size
		return nil
	}
	return errors.New("bus: " + h.Get("Status") + " " + h.Get("Description"))
}
