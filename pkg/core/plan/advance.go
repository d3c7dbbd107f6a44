package plan

import (
	"slices"
	"time"

	"tidemark.dev/pkg/contract/recovery"
)

// advance begins what can begin, or brings the run to rest.
func (s *stepper) advance() {
	switch {
	case s.Phase == Cleaning:
		s.advanceClean()
		return
	case s.Over():
		return
	}
	halted := s.halted()
	if halted {
		s.calmDown()
	}
	for i := 0; !halted && s.Phase == Running && i < len(s.Actions); i++ {
		if s.Actions[i].Status == Pending && s.ready(i) {
			s.attempt(i)
		}
	}
	switch {
	case s.inProgress():
	case halted:
		s.finish(Failed)
	case !s.has(Pending):
		s.finish(Succeeded)
	}
}

func (s *stepper) has(st Status) bool {
	return slices.ContainsFunc(s.Actions, func(rec Record) bool { return rec.Status == st })
}

func (s *stepper) inProgress() bool { return s.has(Started) || s.has(Waiting) }

// halted reports whether a critical action failed.
func (s *stepper) halted() bool {
	for i, rec := range s.Actions {
		if rec.Status == GaveUp && s.Spec.Actions[i].Critical {
			return true
		}
	}
	return false
}

// calmDown ends what would only keep a run that has failed from its end.
func (s *stepper) calmDown() {
	for i, rec := range s.Actions {
		switch {
		case rec.Status == Waiting && !rec.Asked:
			s.set(i, GaveUp, rec.Text)
		case rec.Status == Started && timed(s.Spec.Actions[i]):
			s.set(i, Skipped, "another action failed")
		}
	}
}

// ready reports whether everything that an action waits for has ended, or has
// begun in the background.
func (s *stepper) ready(i int) bool {
	for _, name := range s.Spec.Actions[i].After {
		k := s.index(name)
		switch s.Actions[k].Status {
		case Pending:
			return false
		case Started, Waiting:
			if !s.Spec.Actions[k].Background {
				return false
			}
		}
	}
	return true
}

// finish is the end of the actions. A test is cleaned up next. After a failure in
// production, what has not begun stays pending, so that it can go on after a retry.
func (s *stepper) finish(outcome Phase) {
	s.PausedWith, s.PausedAt = "", time.Time{}
	if outcome == Cancelled || s.Mode == recovery.Test {
		for i, rec := range s.Actions {
			switch rec.Status {
			case Pending:
				s.Actions[i].Status, s.Actions[i].Text = Skipped, "the run ended before"
			case Started, Waiting:
				s.set(i, Abandoned, "the run ended while it was in progress")
			}
		}
	}
	if s.Mode != recovery.Test {
		s.rest(outcome)
		return
	}
	s.Phase, s.Outcome = Cleaning, outcome
	for i := range s.Actions {
		if s.needsClean(i) {
			s.Actions[i].Clean = &Clean{Status: Pending}
		}
	}
	s.advanceClean()
}

// rest is the end of the run.
func (s *stepper) rest(p Phase) {
	s.Phase, s.EndedAt = p, s.now
	s.cmds = append(s.cmds, Command{Finish: p})
}
