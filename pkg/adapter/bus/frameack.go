package bus

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/spool"
)

// frameAcks passes the answers to published frames on to the sinks of a connection. All are
// under one subscription: when one with a wildcard ends, the server compares it with every
// answer that it still expects, and a site may have a thousand groups and 75,000 answers.
type frameAcks struct {
	mu    sync.RWMutex
	sub   *nats.Subscription // nil: no sink was opened yet
	inbox string             // ends in a dot
	sinks map[string]*FrameSink
}

// join gives the inbox for the answers of a sink, which nobody can guess.
func (a *frameAcks) join(nc *nats.Conn, prefix string, s *FrameSink) (inbox string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sub == nil {
		a.inbox, a.sinks = prefix+rand.Text()+".", map[string]*FrameSink{}
		if a.sub, err = nc.Subscribe(a.inbox+"*.*.*", a.pass); err != nil {
			a.sub = nil
			return "", err
		}
		_ = a.sub.SetPendingLimits(-1, -1) // each sink bounds what it expects
	}
	name := rand.Text()
	a.sinks[name] = s
	return a.inbox + name, nil
}

// leave ends what join began; answers that come later go nowhere.
func (a *frameAcks) leave(inbox string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.sinks, strings.TrimPrefix(inbox, a.inbox))
}

func (a *frameAcks) pass(m *nats.Msg) {
	name, tail, _ := strings.Cut(m.Subject[len(a.inbox):], ".")
	a.mu.RLock()
	s := a.sinks[name]
	a.mu.RUnlock()
	if s != nil {
		s.onAck(m, tail)
	}
}

// onAck takes the answer to one published frame. tail is the end of its subject: the
// generation and the frame number.
func (s *FrameSink) onAck(m *nats.Msg, tail string) {
	first, second, _ := strings.Cut(tail, ".")
	gen, err1 := strconv.ParseUint(first, 10, 64)
	no, err2 := strconv.ParseUint(second, 10, 64)
	if err1 != nil || err2 != nil {
		return
	}
	seq, err := cdp.FrameNo(0), error(nil)
	if len(m.Data) == 0 {
		err = cdp.Errorf(cdp.Transient, "publish frame", s.subject, "no stream stores this subject").
			WithHint("the stream " + s.stream.name() + " is missing, or JetStream of site " + string(s.conn.site) + " is not running")
	} else if seq, err = parseAck(m.Data); err != nil {
		err = cdp.Wrap(err, "publish frame", s.subject)
	} else if seq != cdp.FrameNo(no) {
		err = cdp.Errorf(cdp.Internal, "publish frame", s.subject, "frame %d was stored as %d", no, seq)
	}
	s.settle(gen, cdp.FrameNo(no), err)
}

// settle records the outcome of frame no and delivers the results that are due:
// those with no open frame before them. A stored frame proves that all frames
// before it are stored.
func (s *FrameSink) settle(gen uint64, no cdp.FrameNo, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if gen != s.gen {
		return
	}
	at := -1
	for i := range s.out {
		if s.out[i].no == no {
			at = i
			break
		}
	}
	if at < 0 {
		return
	}
	if err == nil {
		s.last = max(s.last, no)
		for i := range at + 1 {
			s.deliver(s.out[i], nil)
		}
		s.drop(at + 1)
	} else {
		s.out[at].err = err
	}
	s.deliverFailed()
}

// deliverFailed delivers the failed frames at the head.
func (s *FrameSink) deliverFailed() {
	n := 0
	for n < len(s.out) && s.out[n].err != nil {
		s.deliver(s.out[n], s.out[n].err)
		n++
	}
	s.drop(n)
}

func (s *FrameSink) deliver(o outstanding, err error) {
	o.span.End(err)
	s.results <- spool.Result{No: o.no, Err: err}
}

func (s *FrameSink) drop(n int) {
	s.out = s.out[:copy(s.out, s.out[n:])]
}

// watch fails the frames whose acknowledgement can no longer come. While there is
// nothing to watch it sleeps: a site has a thousand idle groups.
func (s *FrameSink) watch(ctx context.Context) {
	var tick <-chan time.Time
	defer s.conn.nc.RemoveStatusListener(s.status)
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-s.status:
			if !ok { // the connection closed
				s.status = nil
			}
			s.fail(0, "the connection to the bus was lost")
			continue
		case <-s.busy:
			if tick != nil {
				continue
			}
		case <-tick:
			s.fail(ackTimeout, "no acknowledgement in time")
			if err := s.findLoss(ctx); err != nil && ctx.Err() == nil {
				s.conn.notify(Notice{What: "replication stalled", Err: wrap(err, "follow the journal", string(s.stream.group))})
			}
		}
		if tick = nil; s.watched() {
			tick = time.After(ackTimeout / 5)
		}
	}
}

// watched reports whether an acknowledgement is due, or the journal may be waiting for a
// frame. If not, that changes only by a frame or a report, and both ring.
func (s *FrameSink) watched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.out) > 0 || s.stalls()
}

// fail marks what is older than age as failed.
func (s *FrameSink) fail(age time.Duration, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.out) == 0 || time.Since(s.out[0].at) < age {
		return
	}
	for i := range s.out {
		if s.out[i].err == nil {
			s.out[i].err = cdp.Errorf(cdp.Transient, "publish frame", s.subject, "%s", why)
		}
	}
	s.deliverFailed()
}
