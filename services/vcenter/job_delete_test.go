package vcenter_test

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// A failover takes a replica while its job is being deleted.
func TestDeletionLeavesAReplicaToAFailover(t *testing.T) {
	w := newWorld(t)
	for _, n := range []string{"app01", "web01"} {
		_, err := w.a.sim.AddVM(web(n))
		w.must(err)
	}
	w.apply(shop(w.b))
	w.until("both are ready", func() bool { return w.states()["web01"] == "ready" && w.states()["app01"] == "ready" })
	w.mu.Lock()
	w.cut = true
	w.journals["shop-app01"] = true // the first is slow to go
	w.mu.Unlock()
	del := api.VMJobDeleteRequest{Job: "shop", Replicas: true}
	p, err := ask[api.Progress](w.ctx, w.b, api.VMJobDelete, del)
	w.must(err)
	if p.Done {
		t.Fatal("the journal was not waited for")
	}
	w.until("the first is on its way", func() bool { return w.group("shop-app01").Name == "" })
	w.step(api.VMAttach, false)
	w.mu.Lock()
	w.journals["shop-app01"] = false
	w.mu.Unlock()
	if err := w.b.refused(api.VMJobDelete, del); !cdp.Is(err, cdp.Conflict) {
		t.Error("deleted in a failover:", err)
	}
	if v, there := w.vm(w.b, "web01-replica"); !there || len(v.Hardware.Disks) != 2 {
		t.Fatalf("a VM in a failover lost its disks: there %v, %+v", there, v.Hardware.Disks)
	}
	w.step(api.VMBoot, false)
	w.step(api.VMStop, false)
	w.step(api.VMReturn, false)
	w.b.progress(api.VMJobDelete, del)
	if _, there := w.vm(w.b, "web01-replica"); there {
		t.Error("undone, it was not deleted")
	}
}

// The failed-over VM and its disks were deleted. Undo says that it is impossible, and
// the run can still be ended.
func TestARunCanEndWithoutItsVM(t *testing.T) {
	del := api.VMJobDeleteRequest{Job: "shop", Replicas: true}
	for name, end := range map[string]func(w *world){
		"commit": func(w *world) {
			if k := w.step(api.VMKeep, false); k.VM != nil || !strings.Contains(k.Text, "deleted") {
				w.t.Errorf("%+v", k)
			}
		},
		"delete": func(w *world) {
			if _, err := w.tryStep(api.VMReturn, false); !cdp.Is(err, cdp.Conflict) || !strings.Contains(cdp.HintOf(err), "delete job shop") {
				w.t.Error("undo:", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := failover(t, nil)
			w.step(api.VMAttach, false)
			w.step(api.VMBoot, false)
			v, _ := w.vm(w.b, "web01-replica")
			if err := w.b.refused(api.VMJobDelete, del); !cdp.Is(err, cdp.Conflict) {
				t.Error("deleted in a failover:", err)
			}
			w.must(w.b.c.PowerOff(w.ctx, v.Ref))
			w.must(w.b.c.Destroy(w.ctx, v.Ref, true))
			w.step(api.VMStop, false)
			end(w)
			w.b.progress(api.VMJobDelete, del)
			w.unapply("shop")
			w.until("nothing is recorded", func() bool {
				l, _ := w.b.recs.List(w.ctx, "member.")
				runs, _ := w.b.recs.List(w.ctx, "run.")
				return len(l)+len(runs) == 0
			})
		})
	}
}
