package orchestrator

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/plan"
)

// tidyGuests removes from guests what scripts left there whose end is on record: that of an
// answer, or, of a run that was interrupted, of all that have ended.
func (d *driver) tidyGuests(ctx context.Context, e plan.Event) {
	run := d.run
	for _, t := range endedInGuests(run, e) {
		// It is done although the run may be over now, or the service stops.
		tctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.s.cfg.RequestTimeout)
		d.wg.Go(func() {
			defer cancel()
			if err := d.s.tidyGuest(tctx, run, t); err != nil && !cdp.Is(err, cdp.NotFound) && !cdp.Is(err, cdp.Conflict) { // its VM is gone, or off
				d.s.deps.Notify(cdp.Wrap(err, "clean up in guest", t.Action))
			}
		})
	}
}

func (s *Service) tidyGuest(ctx context.Context, run plan.Run, t plan.Task) (err error) {
	r := guestRun(run, t.Action, t.Attempt)
	if r.VM, err = s.guestVM(ctx, run, *run.Action(t.Action).Guest); err != nil {
		return err
	}
	return s.deps.Guests.Forget(ctx, r)
}

// endedInGuests are the attempts whose scripts in guests have ended, as is known from an
// event. An attempt that took too long, or was given up, may still run.
func endedInGuests(run plan.Run, e plan.Event) (out []plan.Task) {
	switch {
	case e.What == plan.Finished, e.What == plan.Refused && !cdp.Is(e.Err, cdp.Transient):
		if e.Task.Work == plan.Act && run.Action(e.Task.Action).Guest != nil {
			out = append(out, e.Task)
		}
	case e.What == plan.Resumed:
		for _, rec := range run.Actions {
			if run.Action(rec.Name).Guest == nil {
				continue
			}
			last := rec.Attempt
			if rec.Status == plan.Started || rec.Status == plan.Abandoned {
				last--
			}
			for n := 1; n <= last; n++ {
				out = append(out, plan.Task{Action: rec.Name, Attempt: n, Work: plan.Act})
			}
		}
	}
	return out
}
