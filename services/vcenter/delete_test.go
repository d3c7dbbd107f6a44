package vcenter_test

import (
	"testing"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/cdp"
)

// TestDeleteMeetsAFailover: a job is being deleted, and a failover takes one of
// its replicas before the deletion gets there: it is left to it.
func TestDeleteMeetsAFailover(t *testing.T) {
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
