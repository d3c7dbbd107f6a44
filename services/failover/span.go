package failover

import (
	"context"

	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// stepSpan is the span of the step in progress. A step that is requested again and
// again until it is done has one span, and only the first request is seen within it.
type stepSpan struct {
	tracer Tracer
	step   recovery.Step // empty: none is open
	end    func(error)
}

// enter is the context to do a step in.
func (o *stepSpan) enter(ctx context.Context, run failoverrun.Run, step recovery.Step) context.Context {
	if o.step == step {
		return o.tracer.Silent(ctx)
	}
	ctx, o.end = o.tracer.Span(ctx, run, step)
	o.step = step
	return ctx
}

// leave ends the span unless the step goes on.
func (o *stepSpan) leave(e failoverrun.Event) {
	if e.What == failoverrun.StepMoved {
		return
	}
	o.end(e.Err)
	o.step = ""
}
