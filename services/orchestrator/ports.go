package orchestrator

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failback"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/health"
	"tidemark.dev/pkg/core/plan"
	"tidemark.dev/pkg/core/trigger"
)

// Plans are the plans of this site. The orchestrator is their only writer.
type Plans interface {
	// Get is one plan and its revision; NotFound.
	Get(ctx context.Context, name string) (spec.Plan, uint64, error)
	// Put writes it if the revision is still the newest, 0 for none, and gives the
	// new one; Conflict.
	Put(ctx context.Context, name string, p spec.Plan, revision uint64) (uint64, error)
	// Delete deletes it if the revision is still the newest; Conflict.
	Delete(ctx context.Context, name string, revision uint64) error
	List(ctx context.Context) ([]spec.Plan, error)
	// Watch calls fn, from one goroutine, with every plan and then with every change
	// until ctx ends; with nil for a plan that was deleted.
	Watch(ctx context.Context, fn func(name string, p *spec.Plan) error) error
}

// Checks keeps the last check of each plan.
type Checks interface {
	// Get is a plan's last check and its revision; NotFound.
	Get(ctx context.Context, name string) (plan.Verification, uint64, error)
	// Put writes it if the revision is still the newest, 0 for none; Conflict.
	Put(ctx context.Context, v plan.Verification, revision uint64) error
	Forget(ctx context.Context, name string) error
}

// Triggers keeps the states of the plans' triggers.
type Triggers interface {
	// Get is the state of a trigger and its revision; NotFound.
	Get(ctx context.Context, plan, name string) (trigger.State, uint64, error)
	// Put writes it if the revision is still the newest, 0 for none; Conflict.
	Put(ctx context.Context, s trigger.State, revision uint64) error
	// Forget deletes the states of all triggers of a plan.
	Forget(ctx context.Context, plan string) error
}

// Witnesses keeps the last report of each witness about each site.
type Witnesses interface {
	// Get is the last report of the witness with a key about a site; NotFound.
	Get(ctx context.Context, key string, site cdp.Site) (api.WitnessReport, error)
	Put(ctx context.Context, r api.WitnessReport) error
}

// Runs keeps the last run of each plan, and those before it.
type Runs interface {
	// Get is a plan's last run and its revision; NotFound.
	Get(ctx context.Context, name string) (plan.Run, uint64, error)
	// Put writes the run if the revision is still the newest, 0 for none, and gives
	// the new one; Conflict.
	Put(ctx context.Context, r plan.Run, revision uint64) (uint64, error)
	// Watch calls fn, from one goroutine, with every last run and then with every
	// change until ctx ends.
	Watch(ctx context.Context, fn func(plan.Run) error) error
	// Keep adds a run to the plan's history, of which only the newest are kept.
	// Doing it twice keeps it once.
	Keep(ctx context.Context, r plan.Run) error
	// Forget deletes the last run and the history of a plan.
	Forget(ctx context.Context, name string) error
}

// Lease says which orchestrator of the site drives the runs.
type Lease interface {
	// Hold waits until the lease is this process's and calls fn. The context of fn
	// ends before another process can have the lease.
	Hold(ctx context.Context, fn func(context.Context) error) error
}

// Jobs are the replication jobs to this site.
type Jobs interface {
	// List has the jobs that have a group of their own.
	List(ctx context.Context) ([]spec.ReplicationJob, error)
	// OnVMs has the jobs on VMs.
	OnVMs(ctx context.Context) ([]spec.VMJob, error)
	// Running reports whether a job was told to run; NotFound.
	Running(ctx context.Context, job string) (bool, error)
	// SetRunning starts or stops a job, and returns when that is recorded. It is no
	// error if it is so already.
	SetRunning(ctx context.Context, job string, running bool) error
}

// VMs are the VMs of jobs, and this site's vCenter.
type VMs interface {
	// Member is what is noted of a job's VM and its replica; NotFound.
	Member(ctx context.Context, job string) (inventory.Member, error)
	// Obstacles is what the check of a job on VMs finds now.
	Obstacles(ctx context.Context, job spec.VMJob) ([]inventory.Problem, error)
	// Here is what the vCenter has, and how many more disks the site's transporter can
	// have, below 0 if that is not known.
	Here(ctx context.Context) (inventory.Inventory, int, error)
	// SetPower starts or stops a VM of this site, and returns when that was seen. It is
	// no error if it is so already. With DryRun it says what the power is, and whether
	// the change would be refused.
	SetPower(ctx context.Context, r api.SetPowerRequest) (inventory.Power, error)
}

// Failovers runs failovers of single jobs at this site.
type Failovers interface {
	// Run is a job's last run; nil if it never had one.
	Run(ctx context.Context, job string) (*failoverrun.Run, error)
	// Start begins a run. The same id again is the same run.
	Start(ctx context.Context, r failoverrun.Request) error
	// Check has the VM of a job's run checked again, and returns when that was asked for. It
	// is no error if it is being checked already.
	Check(ctx context.Context, job, run string) error
	// End brings a job's run to its end and returns when that is done; no error if
	// it was done already.
	End(ctx context.Context, job string, e Ending) error
}

// Ending is how a failover is to end.
type Ending struct {
	Goal recovery.Goal // cleanup, undo or commit
	Run  string        // empty: the current one
	// Force disconnects clients of the disks and closes exports.
	Force bool
	// Verdict and Note are what the plan's run shows of a test; empty: nothing. By is
	// who says so.
	Verdict  cdp.Verdict
	Note, By string
}

// Returns brings machines to this site that run at another since a committed failover.
type Returns interface {
	// InForce is what both sites show of the job in force that a name leads to, and whether
	// it is protected, if this site is its target; NotFound.
	InForce(ctx context.Context, job string) (failback.Seen, error)
	// Copied is how much of the disks of a job to this site was compared with what they held,
	// and how much of that was sent, in bytes; 0 if it is not known.
	Copied(ctx context.Context, job string) (compared, sent int64, err error)
	// Reprotect asks for the job that leads here. Asked again it goes on: until Done its
	// text is what is waited for.
	Reprotect(ctx context.Context, r api.ReprotectRequest) (api.ReprotectReply, error)
}

// World is what conditions look at.
type World interface {
	// RPO is what a job would lose now; NotFound if it is not known.
	RPO(ctx context.Context, job string) (time.Duration, error)
	// Newest is how old a job's newest recovery point is; NotFound without one.
	Newest(ctx context.Context, job string) (age time.Duration, err error)
	// Reachable is Transient if the services of a site do not answer.
	Reachable(ctx context.Context, site cdp.Site) error
	// Up reports whether a VM or host of a site is up, as its vCenter says, and in words
	// what it is. Transient if the site does not answer.
	Up(ctx context.Context, site cdp.Site, r api.UpRequest) (bool, string, error)
	// Status is what tidemark status shows of a job.
	Status(ctx context.Context, job string) (health.Group, error)
	// Resolve finds a recovery point.
	Resolve(ctx context.Context, r api.ResolveRequest) error
}

// Outside is what is not Tidemark. Only Script, Post and Mail change something; what they
// did before an error is not known.
type Outside interface {
	// Scripts are the programs in the script directory.
	Scripts() ([]string, error)
	// Script runs one and returns the end of its output. It ends with ctx.
	Script(ctx context.Context, file string, args, env []string) (string, error)
	Post(ctx context.Context, url string, body []byte) error
	// Mail hands a message to the site's mail server; Invalid if the site has none.
	Mail(ctx context.Context, m Mail) error
	// Get is the status that a web server answers with.
	Get(ctx context.Context, url string) (int, error)
	// Dial connects to host:port, and closes the connection.
	Dial(ctx context.Context, address string) error
}

// Guests runs scripts of the script directory in guests.
type Guests interface {
	// Run waits for the end of a script and returns the end of its output. One of an ID that
	// the guest ran before is not run again: its result is returned. Transient: VMware Tools
	// do not answer yet. Conflict: its exit code is not 0, or the guest does not allow it.
	Run(ctx context.Context, r GuestRun) (string, error)
	// Forget removes what a script that has ended left in the guest, its result, too. It is no
	// error if there is nothing. Only ID, VM and Login of r matter.
	Forget(ctx context.Context, r GuestRun) error
}

// GuestRun is a script that is run in a VM's guest.
type GuestRun struct {
	ID    string
	VM    string // path, instance UUID or name
	File  string // in the script directory
	Login string // the name of the login at the guest
	Env   []string
}

// Mail is an e-mail.
type Mail struct {
	// ID is the same for the same message.
	ID            string
	To            []string
	Subject, Text string
}

// Events publishes facts.
type Events interface {
	// Emit returns when the event is stored.
	Emit(ctx context.Context, p event.Payload) error
}

// Tracer keeps all that a run does in one trace, over restarts.
type Tracer interface {
	// Carry is the trace of ctx as text.
	Carry(ctx context.Context) string
	// Join is ctx with that trace.
	Join(ctx context.Context, trace string) context.Context
	// Silent is ctx without its trace.
	Silent(ctx context.Context) context.Context
	// Span begins the span of a task; end is called with its outcome.
	Span(ctx context.Context, run plan.Run, t plan.Task) (_ context.Context, end func(error))
}

type untraced struct{}

func (untraced) Carry(context.Context) string                       { return "" }
func (untraced) Join(ctx context.Context, _ string) context.Context { return ctx }
func (untraced) Silent(ctx context.Context) context.Context         { return ctx }
func (untraced) Span(ctx context.Context, _ plan.Run, _ plan.Task) (context.Context, func(error)) {
	return ctx, func(error) {}
}
