package node

import (
	"context"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/services/capture"
)

// stream opens a group's frame stream.
func (w *captureWiring) stream(g cdp.GroupID) (capture.Stream, error) {
	return &gatedStream{w: w, group: g}, nil
}

// gatedStream is a group's frame stream that opens when it is first asked, for
// the bus may be away when capture starts, and that is out of reach while the
// job is not running. Capture then notes what changes, as in any other outage.
// One goroutine uses it.
type gatedStream struct {
	w     *captureWiring
	group cdp.GroupID
	sink  *bus.FrameSink
}

func (s *gatedStream) open(ctx context.Context) error {
	s.w.mu.Lock()
	runs := s.w.runs(s.group)
	s.w.mu.Unlock()
	if !runs {
		return notRunning(s.group)
	}
	if s.sink != nil {
		return nil
	}
	sink, err := bus.OpenFrames(ctx, s.w.conn, s.w.e.site, s.group, spoolBytes)
	if err == nil {
		s.sink = sink
	}
	return err
}

func (s *gatedStream) Tail(ctx context.Context) (cdp.FrameNo, *frame.Header, error) {
	if err := s.open(ctx); err != nil {
		return 0, nil, err
	}
	no, last, err := s.sink.Tail(ctx)
	if !cdp.Is(err, cdp.NotFound) {
		return no, last, err
	}
	// Lost while it was in use. An empty one tells capture so: it finds it behind
	// the journal, and has it begin where the journal is.
	return 0, nil, s.sink.Recreate(ctx, 1)
}

func (s *gatedStream) Publish(f frame.Frame) error {
	if err := s.open(context.Background()); err != nil {
		return err
	}
	if f.Has(frame.Marker) {
		if ctx := s.w.takeMark(s.group); ctx != nil {
			return s.sink.PublishIn(ctx, f)
		}
	}
	return s.sink.Publish(f)
}

func (s *gatedStream) Recreate(ctx context.Context, first cdp.FrameNo) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	return s.sink.Recreate(ctx, first)
}

func (s *gatedStream) Results() <-chan spool.Result {
	if s.sink == nil {
		return nil
	}
	return s.sink.Results()
}

func (s *gatedStream) Durable() <-chan spool.Durable {
	if s.sink == nil {
		return nil
	}
	return s.sink.Durable()
}

func (s *gatedStream) Reset() {
	if s.sink != nil {
		s.sink.Reset()
	}
}

func (s *gatedStream) Close() error {
	if s.sink == nil {
		return nil
	}
	return s.sink.Close()
}
