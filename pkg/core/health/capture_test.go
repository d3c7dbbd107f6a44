package health

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// A seed shows how far it is and how long it will take.
func TestASeedShowsItsProgress(t *testing.T) {
	now := time.Now()
	c := api.CaptureGroup{State: "seeding", Done: 30 << 20, Total: 100 << 20, Verified: 5 << 20, Since: now.Add(-10 * time.Second)}
	h := Group{State: Protected}
	h.judgeCapture(Facts{Job: spec.ReplicationJob{Name: "shop-db01", Source: spec.Source{Site: "prod", Capture: cdp.Tap, VM: "4f"}}, Capture: &c, Now: now})
	if h.State != Seeding || len(h.Problems) != 1 {
		t.Fatalf("%+v", h)
	}
	for _, w := range []string{"30 MiB of 100 MiB", "5.0 MiB of it were there already", "3.0 MiB/s", "23s left"} {
		if !strings.Contains(h.Problems[0].Text, w) {
			t.Errorf("%q lacks %q", h.Problems[0].Text, w)
		}
	}
	if strings.Contains(h.Problems[0].Do, "tap attach") {
		t.Errorf("a VM's tap is not attached by hand: %s", h.Problems[0].Do)
	}
}

// A cbt cycle is no problem: it is how such a job replicates.
func TestACycleIsNoProblem(t *testing.T) {
	c := api.CaptureGroup{State: "resyncing"}
	h := Group{State: Protected}
	f := Facts{Job: spec.ReplicationJob{Source: spec.Source{Capture: cdp.CBT, VM: "4f"}}, Capture: &c, Now: time.Now(),
		Journal: &api.GroupStatus{State: "receiving", Frame: 9, Newest: &cdp.Point{}}}
	h.judgeCapture(f)
	h.judgeJournal(f)
	if h.State != Protected || len(h.Problems) != 0 {
		t.Errorf("%+v", h)
	}
}
