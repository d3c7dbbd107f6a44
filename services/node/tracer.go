package node

import (
	"context"

	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/plan"
	"tidemark.dev/services/failover"
	"tidemark.dev/services/orchestrator"
	"tidemark.dev/services/scheduler"
)

// tracer keeps a run in one trace, over restarts.
type tracer struct{ tel *telemetry.Telemetry }

// Carry begins a trace if ctx has none, so that what follows is one all the same.
func (t tracer) Carry(ctx context.Context) string {
	if trace := telemetry.Carry(ctx); trace != "" || !t.tel.On() {
		return trace
	}
	ctx, span := t.tel.Start(ctx, "begin", telemetry.About{})
	span.End(nil)
	return telemetry.Carry(ctx)
}

func (tracer) Join(ctx context.Context, trace string) context.Context {
	return telemetry.Join(ctx, trace)
}

func (tracer) Silent(ctx context.Context) context.Context { return telemetry.Silent(ctx) }

func (tracer) Quiet(ctx context.Context) context.Context { return telemetry.Quiet(ctx) }

// failoverTracer is failover.Tracer.
type failoverTracer struct{ tracer }

var _ failover.Tracer = failoverTracer{}

func (t failoverTracer) Span(ctx context.Context, run failoverrun.Run, step recovery.Step) (context.Context, func(error)) {
	of := telemetry.About{Job: run.Job, Group: run.Job, Run: run.ID}
	if run.Resolved != nil && run.Resolved.Point != nil {
		of.Point = run.Resolved.Point.ID()
	}
	ctx, span := t.tel.Start(ctx, "failover "+string(step), of)
	return ctx, span.End
}

// planTracer is orchestrator.Tracer.
type planTracer struct{ tracer }

var _ orchestrator.Tracer = planTracer{}

func (t planTracer) Span(ctx context.Context, run plan.Run, task plan.Task) (context.Context, func(error)) {
	ctx, span := t.tel.Start(ctx, "plan "+string(task.Work), telemetry.About{Plan: run.Plan, Run: run.ID, Action: task.Action, Job: run.Action(task.Action).Job()})
	return ctx, span.End
}

// cycleTrace is scheduler.Trace.
func cycleTrace(tel *telemetry.Telemetry) scheduler.Trace {
	return func(ctx context.Context, job string) (string, func(error)) {
		ctx, span := tel.Start(ctx, "recovery point", telemetry.About{Job: job, Group: job})
		return telemetry.Carry(ctx), span.End
	}
}

// vcenterCalls is vsphere.Config.Trace.
func vcenterCalls(tel *telemetry.Telemetry) func(context.Context, string) (context.Context, func(error)) {
	return func(ctx context.Context, call string) (context.Context, func(error)) {
		ctx, span := tel.Within(ctx, "vcenter "+call, telemetry.About{})
		return ctx, span.End
	}
}
