package scheduler

import (
	"context"
	"fmt"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
)

// keep sends the marks that are due. Those that are due within a moment go in one
// message: a site has a thousand jobs.
func (s *Service) keep(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		due, wait := s.beat.take(s.deps.Clock.Now())
		for site, jobs := range bySite(due) {
			wg.Go(func() { s.mark(ctx, site, jobs) })
		}
		t := s.deps.Clock.NewTimer(max(wait, s.beat.moment()))
		select {
		case <-ctx.Done():
		case <-s.beat.changed:
		case <-t.C():
		}
		t.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// bySite are the jobs to be marked, by their source site.
func bySite(due []dueMark) map[cdp.Site][]string {
	out := map[cdp.Site][]string{}
	for _, d := range due {
		out[d.Site] = append(out[d.Site], d.Job)
	}
	return out
}

// mark begins one recovery-point cycle of each of some jobs.
func (s *Service) mark(ctx context.Context, site cdp.Site, jobs []string) {
	defer s.beat.settle(jobs)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.MarkTimeout)
	defer cancel()
	marks, ends := make([]api.Mark, len(jobs)), make([]func(error), len(jobs))
	for i, name := range jobs {
		marks[i].Group = cdp.GroupID(name)
		marks[i].Trace, ends[i] = s.deps.Trace(ctx, name)
	}
	err := s.deps.Marks.Mark(ctx, site, marks)
	for _, end := range ends {
		end(err)
	}
	if err != nil && ctx.Err() == nil {
		what := jobs[0]
		if n := len(jobs) - 1; n > 0 {
			what += fmt.Sprintf(" and %d more", n)
		}
		s.deps.Notify(cdp.Wrap(err, "ask for a recovery point of", what))
	}
}

// onJob handles a change of a spec. A deleted job is stopped, so that it does not
// run by itself when it is applied again.
func (s *Service) onJob(ctx context.Context) func(string, *spec.ReplicationJob) error {
	return func(name string, job *spec.ReplicationJob) error {
		if job == nil {
			s.beat.change(name, func(d *cadence) { d.known = false })
			return s.forget(ctx, name)
		}
		s.beat.change(name, func(d *cadence) {
			if every := job.RPO.Std(); !d.known || d.every != every {
				d.every, d.next = every, s.deps.Clock.Now()
			}
			d.known, d.site = true, job.Source.Site
		})
		return nil
	}
}

func (s *Service) forget(ctx context.Context, name string) error {
	if _, _, err := s.deps.Jobs.Get(ctx, name); err == nil {
		return nil // it was applied again meanwhile
	}
	old, rev, err := s.deps.Runs.Get(ctx, name)
	if cdp.Is(err, cdp.NotFound) || err == nil && old.Desired == api.DesiredStopped {
		return nil
	}
	const reason = "the job was deleted"
	if err == nil || cdp.Is(err, cdp.Corrupt) {
		err = s.deps.Runs.Put(ctx, name, api.RunState{Desired: api.DesiredStopped, Reason: reason, Since: s.deps.Clock.Now()}, rev)
	}
	if err == nil {
		err = s.deps.Events.Emit(ctx, event.JobStopped{Job: name, Reason: reason})
	}
	if cdp.Is(err, cdp.Conflict) {
		return nil // it was changed meanwhile, by a newer wish
	}
	return cdp.Wrap(err, "stop deleted job", name)
}

// onRun handles a change of a run state.
func (s *Service) onRun(name string, st *api.RunState) error {
	s.beat.change(name, func(d *cadence) {
		running := st.Running()
		if running && !d.running {
			d.next = s.deps.Clock.Now()
		}
		d.running = running
	})
	return nil
}
