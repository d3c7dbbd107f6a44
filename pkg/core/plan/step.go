package plan

import (
	"fmt"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
)

// Begin is a new run of a plan, in which nothing has begun: its driver begins with
// the event Resumed.
func Begin(req Request, revision uint64, p spec.Plan, now time.Time) Run {
	r := Run{Request: req, Revision: revision, Spec: p, Phase: Running, StartedAt: now}
	for _, a := range p.Actions {
		rec := Record{Name: a.Name, Verb: a.Verb(), Status: Pending, Left: a.Retries}
		if !a.Mode.In(req.Mode) {
			rec.Status, rec.Text = Skipped, "for runs in "+string(a.Mode)+" only"
		}
		r.Actions = append(r.Actions, rec)
	}
	return r
}

// Step is what follows from an event. An event about another attempt than the
// current one comes late and changes nothing. Only Asked may come from somebody
// else than the driver, so it begins no action; the driver then has to send a Tick.
func Step(r Run, e Event) (Run, []Command) {
	s := stepper{r, e.Now, nil}
	s.Actions = slices.Clone(r.Actions)
	for i, rec := range s.Actions {
		if rec.Clean != nil {
			c := *rec.Clean
			s.Actions[i].Clean = &c
		}
	}
	switch e.What {
	case Resumed:
		s.interrupt()
	case Looked, Finished, Refused:
		if !slices.Contains(r.Tasks(), e.Task) || (e.What == Looked) != (e.Task.Work == Look) && e.What != Refused {
			return r, nil
		}
		s.answer(r.index(e.Task.Action), e)
	case Tick:
		s.tick()
	case Asked:
		if r.CheckAsk(e.Ask) != nil {
			return r, nil
		}
		s.asked(e.Ask)
		return s.Run, s.cmds
	}
	s.advance()
	return s.Run, s.cmds
}

// stepper is a run that is being changed.
type stepper struct {
	Run
	now  time.Time
	cmds []Command
}

// set gives an action a state, and tells of it.
func (s *stepper) set(i int, st Status, text string) {
	rec := &s.Actions[i]
	rec.Status, rec.Text = st, text
	switch st {
	case Done, GaveUp, Skipped, Abandoned:
		rec.EndedAt, rec.Until = s.now, time.Time{}
	}
	s.cmds = append(s.cmds, Command{Tell: &Told{Action: rec.Name, Status: st, Text: text}})
}

// interrupt is what a restart of the driver does to what was in progress.
func (s *stepper) interrupt() {
	if s.Over() || s.Phase == Cleaning {
		return
	}
	for i, rec := range s.Actions {
		if rec.Status == Started && once(s.Spec.Actions[i]) {
			s.failed(i, "it was interrupted: nobody knows whether it had its effect")
		}
	}
}

// answer is the end of a task.
func (s *stepper) answer(i int, e Event) {
	switch {
	case e.Task.Work == CleanUp && e.What == Refused:
		s.cleanFailed(i, e.Err.Error())
	case e.Task.Work == CleanUp:
		s.setClean(i, Done, e.Text)
	case e.What == Refused:
		text := e.Err.Error()
		if hint := cdp.HintOf(e.Err); hint != "" {
			text += " (" + hint + ")"
		}
		s.failed(i, text)
	case e.What == Looked:
		s.Actions[i].Was = &e.Was
	default:
		s.set(i, Done, e.Text)
	}
}

// failed is the end of an attempt that failed.
func (s *stepper) failed(i int, text string) {
	rec := &s.Actions[i]
	if rec.Left == 0 {
		s.set(i, GaveUp, text)
		return
	}
	rec.Left--
	rec.Until = s.now.Add(s.Spec.Actions[i].RetryEvery.Std())
	s.set(i, Waiting, text)
}

// tick ends what has taken its time, and begins the attempts that are due.
func (s *stepper) tick() {
	if s.Phase == Cleaning {
		s.tickClean()
		return
	}
	if s.Over() {
		return
	}
	for i, rec := range s.Actions {
		a := s.Spec.Actions[i]
		due := !rec.Until.IsZero() && !s.now.Before(rec.Until)
		switch {
		case !due:
		case rec.Status == Waiting && s.Phase == Running:
			s.attempt(i)
		case rec.Status != Started || s.held(i):
		case a.Wait != 0:
			s.set(i, Done, "waited "+a.Wait.String())
		case a.Ask != nil && a.Ask.Default == spec.Approve:
			s.set(i, Done, "nobody answered within "+a.Timeout.String()+", and the default is to go on")
		case a.Ask != nil:
			s.set(i, GaveUp, "nobody answered within "+a.Timeout.String()+", and the default is to refuse")
		default:
			s.failed(i, fmt.Sprintf("it took longer than %s", a.Timeout))
		}
	}
}

// attempt begins the next attempt of an action.
func (s *stepper) attempt(i int) {
	a, rec := s.Spec.Actions[i], &s.Actions[i]
	rec.Attempt, rec.Asked = rec.Attempt+1, false
	if rec.Order == 0 {
		rec.BegunAt = s.now
		last := 0
		for _, other := range s.Actions {
			last = max(last, other.Order)
		}
		rec.Order = last + 1
	}
	rec.Until = s.now.Add(max(a.Timeout.Std(), a.Wait.Std()))
	text := ""
	if a.Ask != nil {
		text = a.Ask.Text
	}
	s.set(i, Started, text)
}
