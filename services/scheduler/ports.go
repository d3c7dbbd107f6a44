package scheduler

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/approval"
	"tidemark.dev/pkg/core/failoverrun"
)

// Specs are the stored specs of one kind. The scheduler is their only writer.
type Specs[T any] interface {
	// Get is one spec and its revision; NotFound.
	Get(ctx context.Context, name string) (T, uint64, error)
	// Put writes it if the revision is still the newest, 0 for none, and gives the
	// new one; Conflict.
	Put(ctx context.Context, name string, v T, revision uint64) (uint64, error)
	// Delete deletes it if the revision is still the newest; Conflict.
	Delete(ctx context.Context, name string, revision uint64) error
}

// Jobs are the jobs whose target is this site, those of single VMs among them.
type Jobs interface {
	Specs[spec.ReplicationJob]
	// List has them all.
	List(ctx context.Context) ([]spec.ReplicationJob, error)
	// Watch calls fn, from one goroutine, with every stored job and then with
	// every change until ctx ends; job is nil when it was deleted.
	Watch(ctx context.Context, fn func(name string, job *spec.ReplicationJob) error) error
}

// Runs are the run states.
type Runs interface {
	// Get is a job's state and its revision; NotFound.
	Get(ctx context.Context, name string) (api.RunState, uint64, error)
	// Put writes it if the revision is still the newest, 0 for none; Conflict.
	Put(ctx context.Context, name string, s api.RunState, revision uint64) error
	// Watch is as Jobs.Watch.
	Watch(ctx context.Context, fn func(name string, s *api.RunState) error) error
}

// Failovers are the records of failover runs.
type Failovers interface {
	// Run is a group's last run; nil if it never had one.
	Run(ctx context.Context, group string) (*failoverrun.Run, error)
}

// Approvals keeps what persons agreed to. Who they are is the machine's to say.
type Approvals interface {
	// Agreed is nil if enough persons agreed to the act, or none has to; else Conflict.
	Agreed(ctx context.Context, a approval.Act) error
	// Keep keeps the agreement of a person, and says who agreed to the act by now:
	// Invalid if it is not good, Conflict once it has ended.
	Keep(ctx context.Context, l approval.Line) (agreed []string, err error)
}

// Journal is this site's journal service.
type Journal interface {
	// Points is how many recovery points a group has; 0 without a journal.
	Points(ctx context.Context, group cdp.GroupID) (int, error)
	// Exports are its open exports, with who is connected.
	Exports(ctx context.Context, group cdp.GroupID) ([]api.Export, error)
	// Lock is its retention lock; nil without one, or without a journal.
	Lock(ctx context.Context, group cdp.GroupID) (*api.RetentionLock, error)
	// Gone reports whether there is no journal of the group any more.
	Gone(ctx context.Context, group cdp.GroupID) (bool, error)
}

// Linked are the jobs and failovers of the linked sites, as far as they were copied here.
type Linked interface {
	// Job is a job of a site; NotFound.
	Job(ctx context.Context, site cdp.Site, name string) (spec.ReplicationJob, error)
	// Failover is the last failover run of a job of a site; nil if it never had one.
	Failover(ctx context.Context, site cdp.Site, job string) (*failoverrun.Run, error)
}

// Disks asks those who would use the disks of a job what is there. It waits a while
// for one that does not answer yet; then Transient.
type Disks interface {
	// Sources asks capture at a site.
	Sources(ctx context.Context, site cdp.Site, r api.DisksRequest) (api.DisksReply, error)
	// Replicas asks the journal of this site.
	Replicas(ctx context.Context, r api.DisksRequest) (api.DisksReply, error)
}

// VMs is this site's vcenter service, which knows the jobs on VMs.
type VMs interface {
	// Check gives all that refuses a job, and changes nothing.
	Check(ctx context.Context, job spec.VMJob) (api.JobCheckReply, error)
	// State is the state of one job on VMs; NotFound before it is taken up.
	State(ctx context.Context, job string) (api.VMJobState, error)
	// Reverse gives the job that leads back from the failover of a VM, and what refuses it.
	Reverse(ctx context.Context, r api.VMReverseRequest) (api.VMReverseReply, error)
	// Start has a job on VMs run; it is no error if it does.
	Start(ctx context.Context, job string) error
	// Delete ends a job at the vCenters, or one VM of it. Asked again it goes on.
	Delete(ctx context.Context, r api.VMJobDeleteRequest) (api.Progress, error)
}

// Marks asks a source site for recovery points of some of its groups, in one message. An
// error means that the site was not reached: a group that cannot make one is no error.
type Marks interface {
	Mark(ctx context.Context, site cdp.Site, marks []api.Mark) error
}

// Sources are the capture services of the source sites.
type Sources interface {
	// Spool is how the spool of a site is divided, counting every job known there.
	Spool(ctx context.Context, site cdp.Site) (api.SpoolUse, error)
	// Group is a group as a site captures it, whatever its target; nil: it does not.
	Group(ctx context.Context, site cdp.Site, group cdp.GroupID) (*api.CaptureGroup, error)
}

// Events takes facts; it returns when they are stored.
type Events interface {
	Emit(ctx context.Context, p event.Payload) error
}

// Trace begins the trace of a job's recovery-point cycle, and gives it as a W3C
// traceparent, empty when nothing is traced; end is called with the outcome.
type Trace func(ctx context.Context, job string) (trace string, end func(error))
