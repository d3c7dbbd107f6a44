package plan

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
)

// Admit says whether a new run may begin where old is on record; old is nil where
// there is none. Duplicate: it is the same run.
func Admit(old *Run, r Request) error {
	const op = "run plan"
	switch {
	case old == nil:
	case old.ID == r.ID:
		return cdp.Errorf(cdp.Duplicate, op, r.Plan, "the run %s has been started already", r.ID)
	case !old.Over():
		return cdp.Errorf(cdp.Conflict, op, r.Plan, "its run %s is %s", old.ID, old.Phase).
			WithHint("wait until it has ended, or end it: tidemark plan cancel " + r.Plan)
	}
	return nil
}

// CheckAsk says whether an operator can ask that now. Duplicate: it is so already.
func (r Run) CheckAsk(k Ask) error {
	op := string(k.Verb) + " plan"
	refused := func(format string, args ...any) *cdp.Error {
		return cdp.Errorf(cdp.Conflict, op, r.Plan, format, args...)
	}
	over := r.Over() || r.Phase == Cleaning
	switch k.Verb {
	case Cancel:
		switch {
		case r.Phase == Cancelled, r.Phase == Cleaning && r.Outcome == Cancelled:
			return cdp.Errorf(cdp.Duplicate, op, r.Plan, "the run %s is cancelled already", r.ID)
		case over:
			return refused("the run %s is %s", r.ID, r.Phase)
		}
		return nil
	case Pause, Resume:
		want := map[Verb]Phase{Pause: Paused, Resume: Running}[k.Verb]
		switch {
		case r.Phase == want:
			return cdp.Errorf(cdp.Duplicate, op, r.Plan, "the run %s is %s already", r.ID, r.Phase)
		case over:
			return refused("the run %s is %s", r.ID, r.Phase)
		}
		return nil
	case Skip, Retry, Approve, Refuse:
	default:
		return cdp.Errorf(cdp.Invalid, op, r.Plan, "want cancel, pause, resume, skip, retry, approve or refuse")
	}
	i := r.index(k.Action)
	if i < 0 {
		return cdp.Errorf(cdp.NotFound, op, r.Plan, "it has no action %q", k.Action).WithHint("see its actions: tidemark plan status " + r.Plan)
	}
	return r.checkAction(i, k, refused)
}

// checkAction is CheckAsk of what is about one action.
func (r Run) checkAction(i int, k Ask, refused func(string, ...any) *cdp.Error) error {
	rec, a := r.Actions[i], r.Spec.Actions[i]
	held := r.Phase == Failed && r.Mode == recovery.Production // it can go on
	active := r.Phase == Running || r.Phase == Paused || held
	switch {
	case k.Verb == Retry && r.Phase == Failed && r.Mode == recovery.Test && rec.Clean != nil && rec.Clean.Status == GaveUp:
		return nil
	case !active:
		return refused("the run %s is %s", r.ID, r.Phase)
	case k.Verb == Retry && rec.Status != GaveUp && rec.Status != Waiting:
		return refused("the action %s is %s: only one that failed can be tried again", rec.Name, rec.Status)
	case k.Verb == Skip && (rec.Status == Done || rec.Status == Skipped || rec.Status == Abandoned):
		return refused("the action %s is %s", rec.Name, rec.Status)
	case (k.Verb == Approve || k.Verb == Refuse) && (a.Ask == nil || rec.Status != Started):
		return refused("the action %s does not wait for an answer", rec.Name)
	}
	return nil
}

// asked does what CheckAsk allows.
func (s *stepper) asked(k Ask) {
	i := s.index(k.Action)
	switch k.Verb {
	case Cancel:
		s.finish(Cancelled)
	case Pause:
		s.Phase, s.PausedWith, s.PausedAt = Paused, k.With, s.now
	case Resume:
		s.resume()
	case Skip:
		st := Skipped
		if s.Actions[i].Status == Started {
			st = Abandoned
		}
		s.set(i, st, "skipped by "+k.By)
		s.goOn()
	case Retry:
		s.retry(i)
	case Approve:
		s.set(i, Done, "approved by "+k.By)
	case Refuse:
		s.set(i, GaveUp, "refused by "+k.By)
	}
}

// resume ends a pause. It does not count as time of what was in progress.
func (s *stepper) resume() {
	for i, rec := range s.Actions {
		if rec.Status == Started && s.held(i) && !s.PausedAt.IsZero() { // older records do not have it
			s.Actions[i].Until = rec.Until.Add(s.now.Sub(s.PausedAt))
		}
	}
	s.Phase, s.PausedWith, s.PausedAt = Running, "", time.Time{}
}

// goOn takes a run that has failed up again.
func (s *stepper) goOn() {
	if s.Phase == Failed {
		s.Phase = Running
	}
	s.EndedAt = time.Time{}
}

func (s *stepper) retry(i int) {
	rec := &s.Actions[i]
	if s.Mode == recovery.Test && s.Phase == Failed {
		s.Phase = Cleaning
		rec.Clean.Status = Pending
		return
	}
	rec.Left = s.Spec.Actions[i].Retries
	rec.Until, rec.Asked = s.now, true // the next tick begins the attempt
	s.set(i, Waiting, rec.Text)
	s.goOn()
}
