package health

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// A job that was told to run is waited for as long as it is on its way, and fails
// when something is in its way for longer than a start takes.
func TestAStartEndsProtectedOrFailed(t *testing.T) {
	bad := Group{Job: "web", State: NoData, Problems: []Problem{{"no such file", "make it"}}}
	refused := bad
	refused.refused = true
	at := func(g Group, seconds ...int) (last bool, err error) {
		var s Start
		for _, n := range seconds {
			if last, err = s.Next(g, time.Unix(int64(n), 0)); last {
				return last, err
			}
		}
		return last, err
	}
	for _, st := range []State{Protected, Settling} {
		if done, err := at(Group{State: st}, 1); !done || err != nil {
			t.Error(st, done, err)
		}
	}
	for _, st := range []State{Starting, Seeding, Resyncing, Late} {
		if done, err := at(Group{State: st}, 1, 100, 10_000); done || err != nil {
			t.Error(st, done, err)
		}
	}
	if done, err := at(Group{State: NoData, Capture: &api.CaptureGroup{}}, 1, 100, 10_000); done || err != nil {
		t.Error("copied, and the first point is not due:", done, err)
	}
	if done, err := at(Group{Job: "web", State: FailedOver}, 1); !done || !cdp.Is(err, cdp.Conflict) {
		t.Error(done, err)
	}
	if done, err := at(bad, 1, 20, 30); done || err != nil {
		t.Error(done, err)
	}
	if done, err := at(refused, 1, 12); !done || !strings.Contains(err.Error(), "no such file") || cdp.HintOf(err) != "make it" {
		t.Error(done, err)
	}
	var s Start // what passes is forgotten
	for n, g := range []Group{bad, {State: Seeding}, bad} {
		if done, err := s.Next(g, time.Unix(int64(n*20), 0)); done {
			t.Error(n, err)
		}
	}
}
