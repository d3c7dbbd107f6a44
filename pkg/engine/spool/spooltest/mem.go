package spooltest

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool"
)

// Mem is a group's frame stream in memory. The sink is at its side, the source
// across a link that can be cut.
type Mem struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and replaced on every change
	maxBytes int64
	exists   bool
	down     bool // the server is not running
	cut      bool // the link is
	first    cdp.FrameNo
	frames   []stored
	bytes    int64
	words    []chan spool.Durable
}

type stored struct {
	data []byte
	at   time.Time
}

// NewMem makes an empty stream of at most maxBytes.
func NewMem(maxBytes int64) *Mem {
	return &Mem{changed: make(chan struct{}), maxBytes: maxBytes, exists: true, first: 1}
}

func (m *Mem) last() cdp.FrameNo { return m.first + cdp.FrameNo(len(m.frames)) - 1 }

func (m *Mem) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	close(m.changed)
	m.changed = make(chan struct{})
}

// Cut cuts the link between the stream and the source.
func (m *Mem) Cut() { m.change(func() { m.cut = true }) }

// Heal mends the link.
func (m *Mem) Heal() { m.change(func() { m.cut = false }) }

// Stop stops the stream's server; what it holds stays.
func (m *Mem) Stop() { m.change(func() { m.down = true }) }

// Start starts it again.
func (m *Mem) Start() { m.change(func() { m.down = false }) }

// Lose removes the stream and all it held.
func (m *Mem) Lose() {
	m.change(func() { m.exists, m.first, m.frames, m.bytes = false, 1, nil, 0 })
}

// Sink opens the publishing side.
func (m *Mem) Sink(testing.TB) spool.Sink {
	s := &memSink{m: m, results: make(chan spool.Result, 4096), durable: make(chan spool.Durable, 1)}
	m.change(func() {
		if !m.exists {
			m.exists, m.first = true, 1
		}
		m.words = append(m.words, s.durable)
	})
	return s
}

// Source opens the receiving side.
func (m *Mem) Source(testing.TB) spool.Source { return memSource{m} }

func (m *Mem) purge(no cdp.FrameNo) {
	no = min(no, m.last()+1)
	for m.first < no {
		m.bytes -= int64(len(m.frames[0].data))
		m.frames, m.first = m.frames[1:], m.first+1
	}
}

// follows reports whether f names the stream's last frame, or need not.
func (m *Mem) follows(f frame.Frame) bool {
	if len(m.frames) == 0 || f.Prev == (frame.Hash{}) {
		return true
	}
	h, err := frame.ParseHeader(m.frames[len(m.frames)-1].data)
	return err == nil && h.Hash == f.Prev
}

func (m *Mem) gone(op string) error {
	switch {
	case m.down:
		return cdp.Errorf(cdp.Transient, op, "", "the server is not running")
	case !m.exists:
		return cdp.Errorf(cdp.NotFound, op, "", "there is no stream")
	}
	return nil
}

type memSink struct {
	m       *Mem
	results chan spool.Result
	durable chan spool.Durable
}

var _ spool.Sink = (*memSink)(nil)

func (s *memSink) Tail(context.Context) (cdp.FrameNo, *frame.Header, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if err := s.m.gone("find last frame"); err != nil {
		return 0, nil, err
	}
	if len(s.m.frames) == 0 {
		return s.m.last(), nil, nil
	}
	h, err := frame.ParseHeader(s.m.frames[len(s.m.frames)-1].data)
	return s.m.last(), &h, err
}

func (s *memSink) Publish(f frame.Frame) (err error) {
	const op = "publish frame"
	s.m.change(func() {
		switch {
		case s.m.down:
			err = s.m.gone(op)
		case !s.m.exists:
			s.result(f.No, cdp.Errorf(cdp.Transient, op, "", "there is no stream"))
		case f.No != s.m.last()+1:
			s.result(f.No, cdp.Errorf(cdp.Conflict, op, "", "wrong last sequence: %d", s.m.last()))
		case !s.m.follows(f):
			s.result(f.No, cdp.Errorf(cdp.Conflict, op, "", "the last frame is not the one it follows"))
		case s.m.bytes+int64(len(f.Bytes())) > s.m.maxBytes:
			s.result(f.No, cdp.Errorf(cdp.Full, op, "", "maximum bytes exceeded"))
		default:
			s.m.frames = append(s.m.frames, stored{bytes.Clone(f.Bytes()), time.Now()})
			s.m.bytes += int64(len(f.Bytes()))
			s.result(f.No, nil)
		}
	})
	return err
}

func (s *memSink) result(no cdp.FrameNo, err error) { s.results <- spool.Result{No: no, Err: err} }

func (s *memSink) Results() <-chan spool.Result { return s.results }

func (s *memSink) Reset() {
	for len(s.results) > 0 {
		<-s.results
	}
}

func (s *memSink) Durable() <-chan spool.Durable { return s.durable }

func (s *memSink) Recreate(_ context.Context, first cdp.FrameNo) error {
	s.Reset()
	s.m.change(func() {
		if s.m.exists && len(s.m.frames) == 0 && s.m.first == first {
			return
		}
		s.m.exists, s.m.first, s.m.frames, s.m.bytes = true, first, nil, 0
	})
	return nil
}

func (s *memSink) Close() error { return nil }

type memSource struct{ m *Mem }

var _ spool.Source = memSource{}

func (s memSource) Pull(ctx context.Context, from cdp.FrameNo, status func(spool.Status), fn func(spool.Message) error) error {
	state := spool.State("")
	for next := from; ; {
		s.m.mu.Lock()
		changed, msg, now := s.m.changed, spool.Message{}, spool.Flowing
		switch {
		case s.m.cut || s.m.down:
			now = spool.LinkDown
		case !s.m.exists:
			now = spool.NoStream
		case s.m.first > next:
			err := cdp.Errorf(cdp.Corrupt, "pull frames", "", "wanted frame %d, the stream begins at %d", next, s.m.first)
			s.m.mu.Unlock()
			return err
		case s.m.last()+1 < next:
			now = spool.Behind
		case next <= s.m.last():
			f := s.m.frames[next-s.m.first]
			msg = spool.Message{No: next, Data: bytes.Clone(f.data), Stored: f.at}
		}
		s.m.mu.Unlock()
		if now != state && status != nil {
			status(spool.Status{State: now})
		}
		state = now
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if msg.No != 0 {
			if err := fn(msg); err != nil {
				return err
			}
			next++
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (s memSource) PublishDurable(d spool.Durable) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.m.cut || s.m.down {
		return nil // lost
	}
	if len(s.m.words) > 0 { // the sink purges
		s.m.purge(min(d.No, s.m.last()))
	}
	for _, w := range s.m.words {
		select {
		case <-w:
		default:
		}
		w <- d
	}
	return nil
}
