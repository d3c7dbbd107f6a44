package bus

import (
	"context"
	"errors"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// Tail implements spool.Sink.
func (s *FrameSink) Tail(ctx context.Context) (cdp.FrameNo, *frame.Header, error) {
	no, h, err := s.tail(ctx)
	if err == nil {
		s.setBlind(h == nil)
	}
	return no, h, err
}

func (s *FrameSink) setBlind(b bool) {
	s.pubMu.Lock()
	defer s.pubMu.Unlock()
	s.blind = b
}

func (s *FrameSink) tail(ctx context.Context) (cdp.FrameNo, *frame.Header, error) {
	const op = "find last frame"
	js, err := s.conn.jetstream(s.site)
	if err != nil {
		return 0, nil, err
	}
	str, err := js.Stream(ctx, s.stream)
	if err != nil {
		return 0, nil, wrap(err, op, string(s.group))
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
		return 0, nil, wrap(err, op, string(s.group))
	}
	h, err := frame.ParseHeader(m.Data)
	if err != nil {
		return 0, nil, cdp.Wrap(err, op, string(s.group))
	}
	if h.No != cdp.FrameNo(m.Sequence) {
		return 0, nil, cdp.Errorf(cdp.Corrupt, op, string(s.group), "frame %d stands at %d", h.No, m.Sequence)
	}
	if h.No < cdp.FrameNo(last) {
		return cdp.FrameNo(last), nil, nil
	}
	return h.No, &h, nil // a frame stored between the two questions is simply newer
}

// Recreate implements spool.Sink.
func (s *FrameSink) Recreate(ctx context.Context, first cdp.FrameNo) error {
	const op = "recreate frame stream"
	if first == 0 {
		return cdp.Errorf(cdp.Invalid, op, string(s.group), "the first frame cannot be 0")
	}
	js, err := s.conn.jetstream(s.site)
	if err != nil {
		return err
	}
	s.Reset()
	str, err := js.Stream(ctx, s.stream)
	switch {
	case err == nil && str.CachedInfo().State.LastSeq+1 == uint64(first) && str.CachedInfo().State.Msgs == 0:
		s.setBlind(true)
		return nil
	case err == nil:
		if err := js.DeleteStream(ctx, s.stream); err != nil {
			return wrap(err, op, string(s.group))
		}
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return wrap(err, op, string(s.group))
	}
	if _, err := js.CreateStream(ctx, s.config(first)); err != nil {
		return wrap(err, op, string(s.group))
	}
	s.setBlind(true)
	return nil
}

// DeleteFrames removes the group's stream and all it holds: the job is gone.
func DeleteFrames(ctx context.Context, conn *Conn, site cdp.Site, group cdp.GroupID) error {
	js, err := conn.jetstream(site)
	if err != nil {
		return err
	}
	err = js.DeleteStream(ctx, subjects.FrameStream(group))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return wrap(err, "delete frame stream", string(group))
}
