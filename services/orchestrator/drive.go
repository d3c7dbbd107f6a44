package orchestrator

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/plan"
)

// keepDriving drives a plan's run until it is over, or ctx ends. While the bus
// refuses the record it tries again.
func (s *Service) keepDriving(ctx context.Context, name string) {
	for retry := s.backoff(); ; {
		err := s.drive(ctx, name)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.deps.Notify(cdp.Wrap(err, "run plan", name))
		if retry.Wait(ctx) != nil {
			return
		}
	}
}

// driver drives one run. Only its own goroutine uses it, but for answers.
type driver struct {
	s   *Service
	run plan.Run
	rev uint64
	// begun are the tasks that this driver brought about. Others are those of a
	// driver before it, or beside it for a moment.
	begun map[plan.Task]bool
	// doing are the tasks in progress, by action: one at a time.
	doing   map[string]doing
	answers chan plan.Event
	// wg are the goroutines of this driver.
	wg *sync.WaitGroup
}

// doing is a task in progress.
type doing struct {
	plan.Task
	until *deadline
	stop  context.CancelFunc
}

// deadline is when a task times out. It moves when the run is paused and goes on. It is
// safe for concurrent use.
type deadline struct{ at atomic.Pointer[time.Time] }

// set takes the time; zero: it does not time out.
func (d *deadline) set(at time.Time) { d.at.Store(&at) }

// left is the time that is left, and whether it has an end.
func (d *deadline) left(now time.Time) (time.Duration, bool) {
	at := *d.at.Load()
	return at.Sub(now), !at.IsZero()
}

// drive continues a run from its record. An error is about the record.
func (s *Service) drive(ctx context.Context, name string) error {
	run, rev, err := s.deps.Runs.Get(ctx, name)
	switch {
	case cdp.Is(err, cdp.NotFound): // the plan was deleted
		s.active.see(plan.Run{Request: plan.Request{Plan: name}, Phase: plan.Cancelled})
		return nil
	case err != nil:
		return err
	}
	ctx, cancel := context.WithCancel(s.deps.Tracer.Join(ctx, run.Trace))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	d := &driver{s: s, run: run, rev: rev, begun: map[plan.Task]bool{}, doing: map[string]doing{}, answers: make(chan plan.Event), wg: &wg}
	for e := (plan.Event{What: plan.Resumed}); ; {
		if err := d.apply(ctx, e); err != nil {
			return err
		}
		if d.run.Over() {
			s.active.see(d.run)
			return nil
		}
		d.start(ctx)
		if e, err = d.next(ctx, name); err != nil {
			return err
		}
	}
}

// apply applies an event to the run, stores it and tells of it. If somebody else has
// written the record meanwhile, the event is applied to that record instead.
func (d *driver) apply(ctx context.Context, e plan.Event) error {
	for {
		e.Now = d.s.deps.Clock.Now()
		before := d.run.Tasks()
		next, cmds := plan.Step(d.run, e)
		after := next.Tasks()
		if len(cmds) > 0 || !slices.Equal(before, after) {
			rev, err := d.s.deps.Runs.Put(ctx, next, d.rev)
			if cdp.Is(err, cdp.Conflict) {
				if d.run, d.rev, err = d.s.deps.Runs.Get(ctx, d.run.Plan); err == nil {
					continue
				}
			}
			if err != nil {
				return err
			}
			d.rev = rev
		}
		for _, t := range after {
			if !slices.Contains(before, t) {
				d.begun[t] = true
			}
		}
		d.run = next
		d.tidyGuests(ctx, e)
		d.s.tell(ctx, next, cmds)
		return ctx.Err()
	}
}

// start begins the tasks of the run that are not in progress, and stops those that
// the run has given up. A script that another driver began is left alone: it would
// run twice.
func (d *driver) start(ctx context.Context) {
	tasks := d.run.Tasks()
	for _, x := range d.doing {
		if !slices.Contains(tasks, x.Task) {
			x.stop()
		}
	}
	for _, t := range tasks {
		x, busy := d.doing[t.Action]
		if busy && x.Task == t {
			x.until.set(d.run.Until(t))
		}
		if busy || d.run.Once(t) && !d.begun[t] {
			continue
		}
		tctx, stop := context.WithCancel(ctx)
		x = doing{t, &deadline{}, stop}
		x.until.set(d.run.Until(t))
		d.doing[t.Action] = x
		run := d.run
		d.wg.Go(func() {
			e := d.s.do(tctx, run, t, x.until)
			select {
			case d.answers <- e:
			case <-ctx.Done():
			}
		})
	}
}

// next waits for what happens next.
func (d *driver) next(ctx context.Context, name string) (plan.Event, error) {
	var due <-chan time.Time
	if at := d.run.Wake(); !at.IsZero() {
		t := d.s.deps.Clock.NewTimer(max(0, at.Sub(d.s.deps.Clock.Now())))
		defer t.Stop()
		due = t.C()
	}
	select {
	case <-ctx.Done():
		return plan.Event{}, ctx.Err()
	case e := <-d.answers:
		d.doing[e.Task.Action].stop()
		delete(d.doing, e.Task.Action)
		return e, nil
	case <-due:
	case <-d.s.active.bell(name):
		run, rev, err := d.s.deps.Runs.Get(ctx, name)
		if err != nil {
			return plan.Event{}, err
		}
		d.run, d.rev = run, rev
	}
	return plan.Event{What: plan.Tick}, nil
}

// patient tries until it succeeds, fails for good, or has no time left. What may
// pass is tried again.
func (s *Service) patient(ctx context.Context, until *deadline, try func(context.Context) error) error {
	for retry := s.backoff(); ; {
		tctx, cancel := context.WithTimeout(ctx, s.cfg.RequestTimeout)
		err := try(tctx)
		cancel()
		if err == nil || !cdp.Is(err, cdp.Transient) && !cdp.Is(err, cdp.Full) || !s.pause(ctx, until, retry.Next()) {
			return err
		}
	}
}

// pause waits, and reports whether there is time left then.
func (s *Service) pause(ctx context.Context, until *deadline, d time.Duration) bool {
	left, ends := until.left(s.deps.Clock.Now())
	return (!ends || left > d+s.cfg.Margin) && clock.Sleep(ctx, s.deps.Clock, d) == nil
}
