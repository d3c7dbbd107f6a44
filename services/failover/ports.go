package failover

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/approval"
	"tidemark.dev/pkg/core/failoverrun"
)

// Jobs are the jobs' specs.
type Jobs interface {
	// Get is a job's spec as it is now, with its revision; NotFound.
	Get(ctx context.Context, name string) (failoverrun.Pinned, error)
}

// Approvals knows what persons agreed to.
type Approvals interface {
	// Agreed is nil if enough persons agreed to the act, or none has to; else Conflict.
	Agreed(ctx context.Context, a approval.Act) error
}

// Records keeps one run per job.
type Records interface {
	// Get is the job's run and its revision; NotFound.
	Get(ctx context.Context, job string) (failoverrun.Run, uint64, error)
	// Put writes the run if revision is still the newest, 0 for none, and returns
	// the new one; Conflict.
	Put(ctx context.Context, job string, run failoverrun.Run, revision uint64) (uint64, error)
	// Watch calls fn with the name of each job that has a run, and again whenever the run
	// was written, by whomever, until ctx ends.
	Watch(ctx context.Context, fn func(job string)) error
}

// Lease says which of the site's failover services drives its runs. Any of them takes
// requests.
type Lease interface {
	// Hold calls fn while this one is the one; fn's ctx ends when it is not any more, and
	// no other is before fn has had the time to return. It returns when fn does.
	Hold(ctx context.Context, fn func(context.Context) error) error
}

// alone is the lease of the only service of a site.
type alone struct{}

func (alone) Hold(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) }

// Journal answers about the groups at this site. It changes nothing but what a point
// says of its tests.
type Journal interface {
	// Status is that of one group; NotFound when the journal does not know it.
	Status(ctx context.Context, g cdp.GroupID) (api.GroupStatus, error)
	Resolve(ctx context.Context, r api.ResolveRequest) (api.Resolved, error)
	// Tested says on a point what came of a test of it; NotFound when it is gone. It is
	// idempotent.
	Tested(ctx context.Context, r api.PointTestedRequest) (cdp.Point, error)
}

// Exports serves a group's disks, or copies them. All methods are idempotent.
type Exports interface {
	// ListExports are the group's open exports, with who is connected.
	ListExports(ctx context.Context, g cdp.GroupID) (api.ExportsReply, error)
	Open(ctx context.Context, r api.OpenRequest) (api.Export, error)
	Close(ctx context.Context, r api.CloseRequest) error
	// Absorb writes an export's scratch into the replica; call it until Done.
	Absorb(ctx context.Context, r api.CloseRequest) (api.MoveReply, error)
	// Fill writes the group's disks to other images; call it until Done. Without
	// paths it only makes the journal keep the seq. FillStop ends the run's fill,
	// if there is one.
	Fill(ctx context.Context, r api.FillRequest) (api.MoveReply, error)
	FillStop(ctx context.Context, r api.RunRequest) error
}

// Replica is the disk images of a group. All methods are idempotent.
type Replica interface {
	Halt(ctx context.Context, r api.RunRequest) (cdp.Bounds, error)
	Resume(ctx context.Context, r api.RunRequest) (cdp.Bounds, error)
	// Move brings the images to a seq; call it until Done.
	Move(ctx context.Context, r api.MoveRequest) (api.MoveReply, error)
	Seal(ctx context.Context, r api.RunRequest) (api.SealReply, error)
	// Release closes the images, so that a VM can have them, until Resume.
	Release(ctx context.Context, r api.RunRequest) error
}

// VMs does the steps of a failover to a VM at this site's vCenter.
type VMs interface {
	// Do does one step, by its endpoint: api.VMBuild to api.VMRemove. All are
	// idempotent; call Do until Done.
	Do(ctx context.Context, endpoint string, r api.VMRunRequest) (api.VMRunReply, error)
}

// Source is a job's source site. It may be gone: then the error is Transient, no
// later than ctx ends.
type Source interface {
	Status(ctx context.Context, site cdp.Site, g cdp.GroupID) (api.CaptureGroup, error)
	Drain(ctx context.Context, site cdp.Site, r api.DrainRequest) (api.DrainReply, error)
	// Fence powers the source VM off and forbids its power-on, or takes that back. It is
	// idempotent; call it until Done. Conflict: the source refuses.
	Fence(ctx context.Context, site cdp.Site, r api.FenceRequest) (api.Progress, error)
}

// Events publishes facts.
type Events interface {
	// Emit returns when the event is stored.
	Emit(ctx context.Context, p event.Payload) error
}

// Tracer keeps all steps of a run in one trace, over restarts.
type Tracer interface {
	// Carry is the trace of ctx as text.
	Carry(ctx context.Context) string
	// Join is ctx with that trace.
	Join(ctx context.Context, trace string) context.Context
	// Silent is ctx without its trace.
	Silent(ctx context.Context) context.Context
	// Quiet is ctx whose requests carry its trace and have no span of their own.
	Quiet(ctx context.Context) context.Context
	// Span begins the span of a step; end is called with its outcome.
	Span(ctx context.Context, run failoverrun.Run, step recovery.Step) (_ context.Context, end func(error))
}

type untraced struct{}

func (untraced) Carry(context.Context) string                       { return "" }
func (untraced) Join(ctx context.Context, _ string) context.Context { return ctx }
func (untraced) Silent(ctx context.Context) context.Context         { return ctx }
func (untraced) Quiet(ctx context.Context) context.Context          { return ctx }
func (untraced) Span(ctx context.Context, _ failoverrun.Run, _ recovery.Step) (context.Context, func(error)) {
	return ctx, func(error) {}
}
