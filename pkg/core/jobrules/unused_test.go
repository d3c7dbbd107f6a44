package jobrules

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

func TestUnusedNamesTheExportsAndTheirClients(t *testing.T) {
	if err := Unused("web", nil); err != nil {
		t.Error(err)
	}
	err := Unused("web", []api.Export{{ID: "x-2"}, {ID: "x-1", Clients: []string{"192.0.2.1:7", "192.0.2.2:7"}}})
	if want := "x-1 (connected: 192.0.2.1:7, 192.0.2.2:7), x-2"; !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
}

// What a failover owes at the source would be forgotten with the job.
func TestAJobWhoseSourceIsOwedSomethingIsKept(t *testing.T) {
	run := &failoverrun.Run{Phase: recovery.Committed, Old: &failoverrun.OldVM{Run: "r1", Site: "prod", VM: "u1", Want: recovery.Fenced}}
	err := Settled("web", run)
	if !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "at prod: power it off") || !strings.Contains(cdp.HintOf(err), "--forget-owed") {
		t.Error(err)
	}
	run.Old.Done = true
	for _, run := range []*failoverrun.Run{nil, {}, run} {
		if err := Settled("web", run); err != nil {
			t.Error(err)
		}
	}
}
