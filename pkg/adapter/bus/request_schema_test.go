package bus_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// A request that its schema refuses does not reach the service. The refusal names the
// field and the rule.
func TestARequestThatItsSchemaRefusesDoesNotReachTheService(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	journal, operator := s.Connect("dr", subjects.Journal), s.Connect("dr", subjects.Operator)
	var asked atomic.Int32
	background(t, func(ctx context.Context) error {
		return journal.Serve(ctx, subjects.Journal, map[string]api.Endpoint{
			api.JournalEditPoint: func(context.Context, []byte) (any, error) { asked.Add(1); return api.Empty{}, nil },
		})
	})
	type request map[string]any
	ask := func(r request) error {
		return operator.Request(t.Context(), "dr", subjects.Journal, api.JournalEditPoint, r, nil)
	}
	bustest.Eventually(t, "answered", func() bool { return ask(request{"group": "web", "point": "p1"}) == nil })
	before := asked.Load()
	for what, r := range map[string]request{
		"'point'":              {"group": "web"},
		"/pinned: got string":  {"group": "web", "point": "p1", "pinned": "yes"},
		"'pined' not allowed":  {"group": "web", "point": "p1", "pined": true},
		"/tags/0: got number":  {"group": "web", "point": "p1", "tags": []int{1}},
		"/point: got null":     {"group": "web", "point": nil},
		"journal.edit-point: ": {},
	} {
		if err := ask(r); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), what) {
			t.Errorf("%v: %v", r, err)
		}
	}
	if asked.Load() != before {
		t.Error("the service got a request that is wrong")
	}
}
