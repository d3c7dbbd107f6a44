package failover

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/failoverrun"
)

// Jobs are the jobs' specs.
type Jobs interface {
	// Get is a job's spec as it is now, with its revision; NotFound.
	Get(ctx context.Context, name string) (failoverrun.Pinned, error)
}

// Records keeps one run per job.
type Records interface {
	// Get is the job's run and its revision; NotFound.
	Get(ctx context.Context, job string) (failoverrun.Run, uint64, error)
	// Put writes it if the revision is still the newest, 0 for none, and gives
	// the new one; Conflict.
	Put(ctx context.Context, job string, s failoverrun.Run, revision uint64) (uint64, error)
	// List is the jobs that have one.
	List(ctx context.Context) ([]string, error)
}

// Journal answers for the groups at this site. It changes nothing.
type Journal interface {
	// Status of one group; NotFound when the journal does not know it.
	Status(ctx context.Context, g cdp.GroupID) (api.GroupStatus, error)
	Resolve(ctx context.Context, r api.ResolveRequest) (api.Resolved, error)
}

// Exports hands a group's disks out. All are idempotent.
type Exports interface {
	Open(ctx context.Context, r api.OpenRequest) (api.Export, error)
	Close(ctx context.Context, r api.CloseRequest) error
	// Absorb is asked again until it is done.
	Absorb(ctx context.Context, r api.CloseRequest) (api.MoveReply, error)
	// Fill writes the group's disks onto others; it is asked again until it is
	// done. Without paths it only keeps the seq. FillStop ends the run's, if
	// there is one.
	Fill(ctx context.Context, r api.FillRequest) (api.MoveReply, error)
	FillStop(ctx context.Context, r api.RunRequest) error
}

// Replica is the disk images of a group. All are idempotent.
type Replica interface {
	Halt(ctx context.Context, r api.RunRequest) (cdp.Bounds, error)
	Resume(ctx context.Context, r api.RunRequest) (cdp.Bounds, error)
	// Move is asked again until it is done.
	Move(ctx context.Context, r api.MoveRequest) (api.MoveReply, error)
	Seal(ctx context.Context, r api.RunRequest) (api.SealReply, error)
	// Release lets the images go until Resume.
	Release(ctx context.Context, r api.RunRequest) error
}

// VMs does the steps of a failover to a VM at this site's vCenter.
type VMs interface {
	// Do does one step, by its name in package api: VMBuild to VMRemove. All are
	// idempotent, and asked again until they are done.
	Do(ctx context.Context, step string, r api.VMRunRequest) (api.VMRunReply, error)
}

// Source is the capture service of a job's source site. It may be gone:
// Transient, within the ctx that it is given.
type Source interface {
	Status(ctx context.Context, site cdp.Site, g cdp.GroupID) (api.CaptureGroup, error)
	Drain(ctx context.Context, site cdp.Site, r api.DrainRequest) (api.DrainReply, error)
}

// Events takes facts; it returns when they are kept.
type Events interface {
	Emit(ctx context.Context, p event.Payload) error
}

// Tracer keeps all steps of a run in one trace, over restarts.
type Tracer interface {
	// Carry is the trace of ctx as text; Join the ctx with that trace.
	Carry(ctx context.Context) string
	Join(ctx context.Context, trace string) context.Context
	Span(ctx context.Context, name string) (_ context.Context, end func(error))
}

// Clock is the target's time.
type Clock interface {
	Now() time.Time
	After(d time.Duration) <-chan time.Time
}

type untraced struct{}

func (untraced) Carry(context.Context) string                       { return "" }
func (untraced) Join(ctx context.Context, _ string) context.Context { return ctx }
func (untraced) Span(ctx context.Context, _ string) (context.Context, func(error)) {
	return ctx, func(error) {}
}
