package trigger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
	"tidemark.dev/pkg/core/trigger"
)

// life is one trigger and its driver, at a simulated time.
type life struct {
	t     spec.Trigger
	s     trigger.State
	now   time.Time
	sight trigger.Sight
	since time.Time // when the driver first had this sight
	last  *plan.Run
}

// Scripts of triggers. The first line is the trigger; each line after it is something
// that was seen for a while, or that was asked, and gets the phase that
// the trigger came to.
func TestScripts(t *testing.T) {
	datadriven.RunTest(t, "testdata/step", func(t *testing.T, d *datadriven.TestData) string {
		l := &life{now: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
		lines := strings.Split(strings.TrimSpace(d.Input), "\n")
		objects, err := spec.Parse("plan.yaml", []byte("apiVersion: tidemark.dev/v1\nkind: SiteRecoveryJob\nmetadata: {name: shop}\nspec:\n  site: dr\n  automaticProductionFailover: true\n  actions: [{name: a, wait: 1s}]\n  triggers:\n  - "+lines[0]+"\n"))
		if err != nil {
			return err.Error()
		}
		l.t = objects[0].Plan.Triggers[0]
		l.s = trigger.New("shop", l.t, l.now)
		var out []string
		for _, line := range lines[1:] {
			out = append(out, fmt.Sprintf("%-22s %s", line, l.do(t, strings.Fields(line))))
		}
		return strings.Join(out, "\n")
	})
}

// do does one line of a script.
func (l *life) do(t *testing.T, words []string) string {
	arg := ""
	if len(words) > 1 {
		arg = words[1]
	}
	e := trigger.Event{What: trigger.What(words[0]), By: arg, Text: arg}
	switch words[0] {
	case "holds", "ended", "unknown":
		dur, err := time.ParseDuration(arg)
		if err != nil {
			t.Fatal(err)
		}
		l.watch(trigger.Sight(words[0]), dur)
		return l.show()
	case "restart":
		l.sight = ""
		return l.show()
	case "run":
		l.last = &plan.Run{Request: plan.Request{ID: "r1", Mode: recovery.Mode(arg)}, Phase: plan.Running, StartedAt: l.now}
		return l.show()
	case "begun":
		l.last = &plan.Run{Request: plan.Request{ID: l.s.Run, Mode: l.t.Mode}, Phase: plan.Succeeded, StartedAt: l.now}
	case "raise", "clear", "approve", "refuse":
		if err := l.s.CheckAsk(l.t, e.What, e.By); err != nil {
			return err.Error()
		}
	}
	e.Now = l.now
	l.s = trigger.Step(l.t, l.s, e)
	return l.show()
}

// watch looks for a while, sixty times or every second, and always once.
func (l *life) watch(sight trigger.Sight, dur time.Duration) {
	for end := l.now.Add(dur); ; l.now = l.now.Add(max(time.Second, dur/60)) {
		if l.sight != sight {
			l.sight, l.since = sight, l.now
		}
		l.s = trigger.Step(l.t, l.s, trigger.Event{Now: l.now, What: trigger.Seen, Sight: sight, Text: "it " + string(sight), Held: l.now.Sub(l.since), Last: l.last})
		if !l.now.Before(end) {
			return
		}
	}
}

func (l *life) show() string { return string(l.s.Phase) + ": " + l.s.Text }
