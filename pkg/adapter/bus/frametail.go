package bus

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// Tail implements spool.Sink.
func (s *FrameSink) Tail(ctx context.Context) (cdp.FrameNo, *frame.Header, error) {
	no, h, err := s.tail(ctx)
	if err == nil {
		s.at(no, h == nil)
	}
	return no, h, err
}

// at records the stream's last frame; blind means that its content is unknown.
func (s *FrameSink) at(last cdp.FrameNo, blind bool) {
	s.pubMu.Lock()
	defer s.pubMu.Unlock()
	s.blind = blind
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = last
}

func (s *FrameSink) tail(ctx context.Context) (cdp.FrameNo, *frame.Header, error) {
	const op = "find last frame"
	group := string(s.stream.group)
	str, err := s.conn.js.Stream(ctx, s.stream.name())
	if err != nil {
		return 0, nil, wrap(err, op, group)
	}
	last := str.CachedInfo().State.LastSeq
	if str.CachedInfo().State.Msgs == 0 {
		return cdp.FrameNo(last), nil, nil
	}
	m, err := str.GetLastMsgForSubject(ctx, s.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return cdp.FrameNo(last), nil, nil
	}
	if err != nil {
		return 0, nil, wrap(err, op, group)
	}
	h, err := frame.ParseHeader(m.Data)
	if err != nil {
		return 0, nil, cdp.Wrap(err, op, group)
	}
	if h.No != cdp.FrameNo(m.Sequence) {
		return 0, nil, cdp.Errorf(cdp.Corrupt, op, group, "frame %d is stored under the number %d", h.No, m.Sequence)
	}
	if h.No < cdp.FrameNo(last) {
		return cdp.FrameNo(last), nil, nil
	}
	return h.No, &h, nil // a frame stored between the two requests is just newer
}

// Recreate implements spool.Sink.
func (s *FrameSink) Recreate(ctx context.Context, first cdp.FrameNo) error {
	const op = "recreate frame stream"
	if first == 0 {
		return cdp.Errorf(cdp.Invalid, op, string(s.stream.group), "the first frame cannot be 0")
	}
	s.streamMu.Lock()
	defer s.streamMu.Unlock()
	s.Reset()
	if err := s.stream.recreate(ctx, first); err != nil {
		return wrap(err, op, string(s.stream.group))
	}
	s.purged = 0
	s.at(first-1, true)
	return nil
}
