package failover

import (
	"cmp"
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

// HandleStart handles failover.start.
func (s *Service) HandleStart(ctx context.Context, e event.Event) error {
	var p event.FailoverStart
	if err := e.Into(&p); err != nil {
		return err
	}
	var window spec.Duration
	if p.CommitWindow != "" {
		if err := window.UnmarshalText([]byte(p.CommitWindow)); err != nil {
			return cdp.Errorf(cdp.Invalid, "check failover", "commitWindow", "%w", err)
		}
	}
	return s.begin(ctx, failoverrun.Request{Job: p.Job, ID: p.Run, Mode: p.Mode, To: p.To, Point: p.Point, At: p.At, Listen: p.Listen, Shutdown: p.Shutdown, Force: p.Force, NoReIP: p.NoReIP, CommitPolicy: p.CommitPolicy, CommitWindow: window}, e.Time)
}

// startWithin is how long a start that cannot be checked yet is retried. After
// that it is refused: no failover begins when nobody waits for it any more.
const startWithin = time.Minute

// testEndsWithin is the same where a test is ended first, which may have to remove VMs.
const testEndsWithin = 5 * time.Minute

// Start begins a run, or refuses it and changes nothing: Invalid, a bad request;
// NotFound, no such job, group or point; Conflict, another run or a journal that
// cannot; Duplicate, the run has begun already. A production run ends a test of the
// job first, and is Transient until that is done.
func (s *Service) Start(ctx context.Context, r failoverrun.Request) error {
	return s.begin(ctx, r, s.deps.Clock.Now())
}

// begin is Start of a request made at the time asked.
func (s *Service) begin(ctx context.Context, r failoverrun.Request, asked time.Time) error {
	const op = "start failover"
	if err := r.Check(); err != nil {
		return err
	}
	var last *failoverrun.Run
	run, rev, err := s.deps.Records.Get(ctx, r.Job)
	switch {
	case err == nil:
		last = &run
	case !cdp.Is(err, cdp.NotFound):
		return cdp.Wrap(err, op, r.Job)
	}
	old, err := s.ofThisJob(ctx, last, r.Job)
	if err != nil {
		return cdp.Wrap(err, op, r.Job)
	}
	within, test := startWithin, (*failoverrun.Run)(nil)
	if err := failoverrun.Admit(old, r); failoverrun.Displaces(old, r) {
		within, test = testEndsWithin, old
	} else if err != nil {
		if cdp.Is(err, cdp.Duplicate) {
			s.kick(r.Job)
		}
		return err
	}
	job, err := s.check(ctx, r, test)
	if err == nil && test != nil {
		rev, err = s.endTest(ctx, *test)
	}
	if err != nil {
		if late := s.deps.Clock.Now().Sub(asked); cdp.Is(err, cdp.Transient) && late > within {
			return cdp.Errorf(cdp.Conflict, op, r.Job, "given up after %s, nothing was begun: %w", late.Round(time.Second), err).
				WithHint(cmp.Or(cdp.HintOf(err), "try again when that is resolved"))
		}
		return err
	}
	next, cmds := failoverrun.Begin(r, job, last, s.deps.Clock.Now())
	next.Trace = s.deps.Tracer.Carry(ctx)
	if _, err = s.deps.Records.Put(ctx, r.Job, next, rev); cdp.Is(err, cdp.Conflict) {
		return s.raced(ctx, r)
	}
	if err != nil {
		s.doubt(r.Job)
		return cdp.Wrap(err, op, r.Job)
	}
	s.tell(ctx, next, cmds)
	s.kick(r.Job)
	return nil
}

// ofThisJob is a run, or nil if it is over and was about an earlier job of that name, or
// an earlier round of it.
func (s *Service) ofThisJob(ctx context.Context, run *failoverrun.Run, name string) (*failoverrun.Run, error) {
	if run == nil || !run.Over() {
		return run, nil
	}
	job, err := s.deps.Jobs.Get(ctx, name)
	if cdp.Is(err, cdp.NotFound) || err == nil && run.Holds(job.Spec) {
		return run, nil
	}
	return nil, err
}

// raced is the error of a run that lost the race for the record.
func (s *Service) raced(ctx context.Context, r failoverrun.Request) error {
	run, _, err := s.deps.Records.Get(ctx, r.Job)
	if err == nil {
		err = failoverrun.Admit(&run, r)
	}
	if err == nil {
		err = cdp.Errorf(cdp.Transient, "start failover", r.Job, "another run began and ended meanwhile")
	}
	return err
}

// endTest has a test cleaned up, and returns the revision of its record when it is
// over; Transient while it is not.
func (s *Service) endTest(ctx context.Context, test failoverrun.Run) (rev uint64, err error) {
	const op = "start failover"
	if err := s.Ask(ctx, test.Job, test.ID, recovery.Cleanup); err != nil && !cdp.Is(err, cdp.Duplicate) {
		return 0, err
	}
	over := false
	err = s.settled(ctx, func() (err error) {
		if test, rev, err = s.deps.Records.Get(ctx, test.Job); err != nil {
			return err
		}
		if over = test.Over(); !over {
			return cdp.Errorf(cdp.Conflict, op, test.Job, "not yet")
		}
		return nil
	})
	if cdp.Is(err, cdp.Conflict) && !over {
		why := ""
		if test.Error != "" {
			why = ": " + test.Error
		}
		return 0, cdp.Errorf(cdp.Transient, op, test.Job, "the test %s is being ended first, and is %s%s", test.ID, test.Phase, why).
			WithHint("see how far it is: tidemark failover status " + test.Job)
	}
	return rev, err
}

// check says whether the run can succeed, before anything is changed. It returns
// the job's spec for the run to work with. test is the one that the run ends, if any.
func (s *Service) check(ctx context.Context, r failoverrun.Request, test *failoverrun.Run) (failoverrun.Pinned, error) {
	const op = "start failover"
	job, err := s.deps.Jobs.Get(ctx, r.Job)
	switch {
	case cdp.Is(err, cdp.NotFound):
		return job, cdp.Errorf(cdp.NotFound, op, r.Job, "there is no such job").
			WithHint("list the jobs: tidemark status; if it was deleted, and a retention lock keeps its journal: tidemark get job " + r.Job + " -o yaml | tidemark apply -f -")
	case err != nil:
		return job, cdp.Wrap(err, op, r.Job)
	case r.To == recovery.ToVM && job.Spec.Target.VM == "":
		return job, cdp.Errorf(cdp.Conflict, op, r.Job, "the job has no replica VM").
			WithHint("only jobs on VMs have one; use --to nbd")
	}
	g, err := s.deps.Journal.Status(ctx, cdp.GroupID(r.Job))
	if err != nil {
		return job, cdp.Wrap(err, op, r.Job)
	}
	if g.State == event.JournalSealed {
		return job, cdp.Errorf(cdp.Conflict, op, r.Job, "the journal is sealed: a failover was committed, and the replica is the disk now")
	}
	if !r.Planned || r.Listen != "" { // only to refuse early: the step resolve decides, once, after the halt
		want := failoverrun.Run{Request: r}.Want()
		want.Listen = r.Listen
		_, err = s.deps.Journal.Resolve(ctx, want)
	}
	if err == nil && r.Mode == recovery.Production && !r.Force {
		err = s.settled(ctx, func() error { return s.undisturbed(ctx, r, job.Spec, test) })
	}
	return job, cdp.Wrap(err, op, r.Job)
}

// undisturbed asks who would be disturbed by a production failover. The source is
// asked only by a planned one, which needs it, and about disks that no VM of a vCenter
// has: of a VM the vcenter service knows whether it is off. A source that does not
// answer is the first step's to report.
func (s *Service) undisturbed(ctx context.Context, r failoverrun.Request, j spec.ReplicationJob, test *failoverrun.Run) error {
	g := cdp.GroupID(r.Job)
	open, err := s.deps.Exports.ListExports(ctx, g)
	if err != nil {
		return err
	}
	if test != nil {
		if err := failoverrun.Unused(*test, recovery.Cleanup, open.Exports); err != nil {
			return err
		}
	}
	var clients []string
	if r.Planned && j.Source.VM == "" {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.SourceTimeout)
		defer cancel()
		if c, err := s.deps.Source.Status(ctx, j.Source.Site, g); err == nil {
			clients = c.Clients
		}
	}
	return failoverrun.Undisturbed(r, open.Exports, clients)
}
