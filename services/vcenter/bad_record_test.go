package vcenter_test

import (
	"encoding/json"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// The record of one protected VM cannot be read. It is named in the status and left as it
// is; the job's other VMs go on, and new ones join.
func TestABadRecordOfAVMStopsNoOther(t *testing.T) {
	w := newWorld(t)
	for _, n := range []string{"app01", "web01"} {
		_, err := w.a.sim.AddVM(web(n))
		w.must(err)
	}
	w.apply(shop(w.b))
	w.until("both are ready", func() bool { return w.states()["web01"] == "ready" && w.states()["app01"] == "ready" })
	w.b.recs.mu.Lock()
	bad := w.b.recs.m["member.shop-app01"]
	bad.v = json.RawMessage("{]")
	w.b.recs.m["member.shop-app01"] = bad
	w.b.recs.mu.Unlock()
	_, err := w.a.sim.AddVM(web("web02"))
	w.must(err)
	w.until("a new VM is ready", func() bool { return w.states()["web02"] == "ready" && w.states()["web01"] == "ready" })
	st, err := ask[api.VMJobsReply](w.ctx, w.b, api.VMJobStatus, api.VMJobName{Job: "shop"})
	w.must(err)
	named := 0
	for _, m := range st.Jobs[0].Members {
		if m.Group == "shop-app01" && strings.Contains(m.Trouble, "member.shop-app01") {
			named++
		}
	}
	if named != 1 || len(st.Jobs[0].Members) != 3 {
		t.Errorf("%+v", st.Jobs[0].Members)
	}
	w.mu.Lock()
	groups := len(w.groups)
	w.mu.Unlock()
	if groups != 3 {
		t.Errorf("there are %d groups: the VM of the bad record was taken for a new one", groups)
	}
	if _, there := w.vm(w.b, "app01-replica"); !there {
		t.Error("its replica is gone")
	}
	if err := w.b.refused(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true}); !cdp.Is(err, cdp.Corrupt) {
		t.Errorf("a job was deleted without knowing all its replicas: %v", err)
	}
}
