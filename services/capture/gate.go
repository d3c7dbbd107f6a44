package capture

import (
	"context"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// gate is the stream of a group that is out of reach while the job is not
// running: capture then notes what changes, as in any other outage. It opens the stream
// when it is first used, for the bus may be away when capture starts. One
// goroutine uses it.
type gate struct {
	s     *Service
	group cdp.GroupID
	open  Stream // nil: not yet
}

var _ Stream = (*gate)(nil)

func (s *Service) gate(g cdp.GroupID) (Stream, error) { return &gate{s: s, group: g}, nil }

func (g *gate) through(ctx context.Context) (Stream, error) {
	err := g.s.jobs.runs(g.group)
	if err == nil && g.open == nil {
		var x Stream
		job, _ := g.s.jobs.get(g.group) // one that runs is known
		if x, err = g.s.deps.Streams.Open(ctx, g.group, job.Target.Site); err == nil {
			g.open = x
		}
	}
	return g.open, err
}

func (g *gate) Tail(ctx context.Context) (cdp.FrameNo, *frame.Header, error) {
	x, err := g.through(ctx)
	if err != nil {
		return 0, nil, err
	}
	return x.Tail(ctx)
}

// Publish implements Stream. A frame that is a recovery point belongs to the
// trace of who asked for it.
func (g *gate) Publish(f frame.Frame) error {
	x, err := g.through(context.Background())
	if err != nil {
		return err
	}
	if f.Has(frame.Marker) {
		if ctx := g.s.traces.take(g.group); ctx != nil {
			if t, ok := x.(TracedStream); ok {
				return t.PublishIn(ctx, f)
			}
		}
	}
	return x.Publish(f)
}

// traced is TracedStream's Traced; none where the stream is not one.
func (g *gate) traced(no cdp.FrameNo) (cdp.FrameNo, string) {
	if t, ok := g.open.(TracedStream); ok {
		return t.Traced(no)
	}
	return 0, ""
}

func (g *gate) Recreate(ctx context.Context, first cdp.FrameNo) error {
	x, err := g.through(ctx)
	if err != nil {
		return err
	}
	return x.Recreate(ctx, first)
}

func (g *gate) Results() <-chan Result {
	if g.open == nil {
		return nil
	}
	return g.open.Results()
}

func (g *gate) Durable() <-chan Durable {
	if g.open == nil {
		return nil
	}
	return g.open.Durable()
}

func (g *gate) Reset() {
	if g.open != nil {
		g.open.Reset()
	}
}

func (g *gate) Close() error {
	if g.open == nil {
		return nil
	}
	return g.open.Close()
}

// traces holds, by group, the trace of a request for a recovery point whose frame
// has not left yet.
type traces struct {
	mu    sync.Mutex
	asked map[cdp.GroupID]context.Context
}

func (t *traces) put(ctx context.Context, g cdp.GroupID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked[g] = context.WithoutCancel(ctx)
}

// take is the trace that the next recovery point belongs to, nil for none.
func (t *traces) take(g cdp.GroupID) context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	ctx := t.asked[g]
	delete(t.asked, g)
	return ctx
}
