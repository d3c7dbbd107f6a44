package orchestrator_test

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/trigger"
)

// A host that its vCenter says is down starts the plan, once, after its hold time; while
// that is not known nothing happens.
func TestAHostThatIsDownStartsThePlan(t *testing.T) {
	w := watch(t, "{name: t, down: {site: prod, host: esx1}, for: 1m, coolDown: 2m, start: automatic}")
	set := func(down bool, why error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.down = map[string]error{}
		if down {
			w.down["esx1"] = why
		}
	}
	w.pass(90 * time.Second)
	set(true, cdp.Errorf(cdp.Transient, "ask", "prod", "nobody answers"))
	w.pass(90 * time.Second)
	if runs := w.begun(); len(runs) > 0 || !strings.Contains(w.states["shop.t"].Text, "whether esx1 is up is not known") {
		t.Errorf("%v %+v", runs, w.states)
	}
	set(true, nil)
	w.pass(50 * time.Second)
	set(false, nil)
	w.pass(20 * time.Second)
	set(true, nil)
	w.pass(50 * time.Second)
	if runs := w.begun(); len(runs) > 0 {
		t.Error("it was not down for long enough:", runs)
	}
	w.until(trigger.Spent)
	w.pass(4 * time.Minute)
	if runs := w.begun(); len(runs) != 1 {
		t.Error(runs)
	}
}
