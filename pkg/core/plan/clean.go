package plan

import (
	"fmt"
	"time"

	"tidemark.dev/pkg/contract/inventory"
)

const (
	// cleanAttempts is how often a clean-up is tried, every cleanEvery; one attempt
	// may take cleanTimeout.
	cleanAttempts = 10
	cleanEvery    = 10 * time.Second
	cleanTimeout  = 5 * time.Minute
)

// needsClean reports whether an action of a test may have left something.
func (s *stepper) needsClean(i int) bool {
	a, rec := s.Spec.Actions[i], s.Actions[i]
	switch {
	case rec.Attempt == 0:
		return false
	case a.Failover != nil, a.RunPlan != nil:
		return true
	case a.StopJob != nil:
		return rec.Was != nil && *rec.Was
	case a.RunJob != nil:
		return rec.Was != nil && !*rec.Was
	case a.Power != nil:
		return rec.Was != nil && *rec.Was != (a.Power.Do == inventory.PowerStart)
	}
	return false
}

// advanceClean begins the next clean-up: that of the action that began last. Each
// waits for the one before it, whatever came of that.
func (s *stepper) advanceClean() {
	last := -1
	for i, rec := range s.Actions {
		if rec.Clean == nil {
			continue
		}
		switch rec.Clean.Status {
		case Started, Waiting:
			return
		case Pending:
			if last < 0 || rec.Order > s.Actions[last].Order {
				last = i
			}
		}
	}
	if last >= 0 {
		s.cleanAttempt(last)
		return
	}
	outcome := s.Outcome
	for _, rec := range s.Actions {
		if rec.Clean != nil && rec.Clean.Status == GaveUp {
			outcome = Failed
		}
	}
	s.rest(outcome)
}

func (s *stepper) cleanAttempt(i int) {
	c := s.Actions[i].Clean
	c.Attempt++
	c.Until = s.now.Add(cleanTimeout)
	s.setClean(i, Started, "")
}

func (s *stepper) setClean(i int, st Status, text string) {
	rec := s.Actions[i]
	rec.Clean.Status, rec.Clean.Text = st, text
	s.cmds = append(s.cmds, Command{Tell: &Told{Action: rec.Name, Status: st, Clean: true, Text: text}})
}

func (s *stepper) cleanFailed(i int, text string) {
	c := s.Actions[i].Clean
	if c.Attempt%cleanAttempts == 0 {
		s.setClean(i, GaveUp, text)
		return
	}
	c.Until = s.now.Add(cleanEvery)
	s.setClean(i, Waiting, text)
}

func (s *stepper) tickClean() {
	for i, rec := range s.Actions {
		if c := rec.Clean; c == nil || c.Until.IsZero() || s.now.Before(c.Until) {
			continue
		}
		switch rec.Clean.Status {
		case Started:
			s.cleanFailed(i, fmt.Sprintf("it took longer than %s", cleanTimeout))
		case Waiting:
			s.cleanAttempt(i)
		}
	}
}
