package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
)

// Forecast is one action of a run that has not begun, or its clean-up.
type Forecast struct {
	Action string `json:"action"`
	Does   string `json:"does"`
	// Skipped says why it takes no part in the run; empty: it does.
	Skipped string        `json:"skipped,omitempty"`
	CleanUp bool          `json:"cleanUp,omitempty"`
	After   []string      `json:"after,omitempty"`
	Begins  time.Duration `json:"beginsNanos"` // from the start of the run
	Takes   time.Duration `json:"takesNanos"`
	// Runs is how many earlier runs Takes is the median of; 0: it is not known, or is
	// the wait that the plan says.
	Runs int `json:"runs"`
}

// Foresee is what a run of a plan in a mode would do, in the order in which it would
// begin, as long as each action takes what it took in earlier runs, those in the same
// mode first. An action that was never done counts as no time at all.
func Foresee(p spec.Plan, mode recovery.Mode, before []Run) (out []Forecast) {
	ends, begins := map[string]time.Duration{}, map[string]time.Duration{}
	whole := time.Duration(0)
	for _, level := range levels(p) {
		for _, a := range level {
			f := Forecast{Action: a.Name, Does: label(a), After: a.After}
			for _, name := range a.After {
				i := slices.IndexFunc(p.Actions, func(b spec.Action) bool { return b.Name == name })
				if end := ends[name]; !p.Actions[i].Background {
					f.Begins = max(f.Begins, end)
				} else {
					f.Begins = max(f.Begins, begins[name])
				}
			}
			if a.Mode.In(mode) {
				f.Takes, f.Runs = took(a, mode, before)
			} else {
				f.Skipped = "for runs in " + string(a.Mode) + " only"
			}
			begins[a.Name], ends[a.Name] = f.Begins, f.Begins+f.Takes
			whole = max(whole, ends[a.Name])
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b Forecast) int { return cmp.Compare(a.Begins, b.Begins) })
	if mode == recovery.Test {
		out = append(out, cleanUps(p, out, whole)...)
	}
	return out
}

// cleanUps are those after a test: in the reverse order, one after the other.
func cleanUps(p spec.Plan, done []Forecast, at time.Duration) (out []Forecast) {
	for _, f := range slices.Backward(done) {
		i := slices.IndexFunc(p.Actions, func(a spec.Action) bool { return a.Name == f.Action })
		a, does := p.Actions[i], ""
		switch {
		case f.Skipped != "":
		case a.Failover != nil:
			does = "end the test failover of " + a.Job()
		case a.RunPlan != nil:
			does = "end the run of " + a.RunPlan.Plan
		case a.RunJob != nil:
			does = "stop " + a.Job() + ", if it was stopped before"
		case a.StopJob != nil:
			does = "run " + a.Job() + ", if it ran before"
		case a.Power != nil:
			does = "put the power of " + a.Power.VM + " back"
		}
		if does != "" {
			out = append(out, Forecast{Action: f.Action, Does: does, CleanUp: true, Begins: at})
		}
	}
	return out
}

// took is the median time of an action in earlier runs, and how many those were.
func took(a spec.Action, mode recovery.Mode, before []Run) (time.Duration, int) {
	if a.Wait != 0 {
		return a.Wait.Std(), 0
	}
	same, other := []time.Duration{}, []time.Duration{}
	for _, r := range before {
		i := r.index(a.Name)
		if i < 0 || r.Actions[i].Status != Done || r.Actions[i].Verb != a.Verb() || r.Spec.Actions[i].Job() != a.Job() {
			continue
		}
		d := r.Actions[i].EndedAt.Sub(r.Actions[i].BegunAt)
		if r.Mode == mode {
			same = append(same, d)
		} else {
			other = append(other, d)
		}
	}
	if len(same) == 0 {
		same = other
	}
	if len(same) == 0 {
		return 0, 0
	}
	slices.Sort(same)
	return same[len(same)/2], len(same)
}

// String is the forecast in one line.
func (f Forecast) String() string {
	switch {
	case f.Skipped != "":
		return fmt.Sprintf("%s: not done, %s", f.Action, f.Skipped)
	case f.CleanUp:
		return fmt.Sprintf("clean up %s: %s", f.Action, f.Does)
	}
	return fmt.Sprintf("%s: %s", f.Action, f.Does)
}
