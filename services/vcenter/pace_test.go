package vcenter_test

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// An RPO that the source's vCenter is too slow for is said when the job is applied, and is
// the job's trouble when the vCenter becomes slower later.
func TestASlowVCenterIsToldBeforeTheRPOIsMissed(t *testing.T) {
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	job := shop(w.b)
	job.RPO = spec.Duration(2 * time.Minute)
	const text = "too long for an RPO of"
	if r := w.checked(job); strings.Contains(told(r.Warnings), text) {
		t.Errorf("a fast one: %s", told(r.Warnings))
	}
	w.apply(job)
	w.until("web01 is ready", func() bool { return w.states()["web01"] == "ready" })
	w.a.sim.Slow(50 * time.Millisecond)
	job.RPO = spec.Duration(2 * time.Second) // a pass of 20 calls takes half of that
	w.until("apply warns", func() bool {
		_, err := ask[inventory.Inventory](w.ctx, w.a, api.VCenterInventory, api.InventoryRequest{Fresh: true}) // calls to measure
		w.must(err)
		r := w.checked(job)
		if len(r.Problems) > 0 {
			t.Fatalf("it is refused: %s", told(r.Problems))
		}
		return strings.Contains(told(r.Warnings), text)
	})
	w.apply(job)
	w.until("the job's status says it", func() bool {
		st, err := ask[api.VMJobsReply](w.ctx, w.b, api.VMJobStatus, api.VMJobName{Job: "shop"})
		w.must(err)
		return strings.Contains(st.Jobs[0].Trouble, text)
	})
}
