package vcenter_test

import (
	"fmt"
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/api"
)

// ofInventory are the calls by which the inventory is read and watched. They are made for
// all passes of a site together, at a pace of their own.
var ofInventory = map[string]bool{"RetrievePropertiesEx": true, "ContinueRetrievePropertiesEx": true, "CreateContainerView": true, "DestroyView": true,
	"QueryConfigOptionDescriptor": true, "WaitForUpdatesEx": true, "CreateFilter": true, "CreatePropertyCollector": true,
	"CancelWaitForUpdates": true, "DestroyPropertyCollector": true}

// A pass of a VM with two disks costs a vCenter few calls, and its transporter two
// changes: at a vCenter that takes two seconds for each, that is what decides which RPO
// can be kept.
func TestAPassTakesTwentyCallsAtMost(t *testing.T) {
	w := newWorld(t)
	x := web("web01")
	x.CBT = true
	src, err := w.a.sim.AddVM(x)
	w.must(err)
	v, err := w.a.c.VM(w.ctx, src.UUID)
	w.must(err)
	keys := []int32{v.Hardware.Disks[0].Key, v.Hardware.Disks[1].Key}
	since := []string{"*", "*"}
	pass := func(n int) {
		name := fmt.Sprint(n)
		f := done(t, w.a, api.VMFreeze, api.FreezeRequest{Group: "shop-web01", VM: src.UUID, Keys: keys, Pass: name}, func(r api.FreezeReply) bool { return r.Done })
		for i, k := range keys {
			_, err := ask[api.ChangedReply](w.ctx, w.a, api.VMChanged, api.ChangedRequest{Group: "shop-web01", VM: src.UUID, Pass: name, Key: k, Since: since[i]})
			w.must(err)
			since[i] = f.Disks[i].ChangeID
		}
		w.a.progress(api.VMThaw, api.ThawRequest{Group: "shop-web01", VM: src.UUID})
	}
	pass(1) // where things are is not known yet
	calls0, reads0 := w.a.sim.AllCalls()
	pass(2)
	calls1, reads1 := w.a.sim.AllCalls()
	n, made := 0, ""
	for method := range calls1 {
		if d := calls1[method] - calls0[method]; d > 0 && !ofInventory[method] && !strings.HasPrefix(method, "RetrieveProperties") {
			n += d
			made += fmt.Sprintf("\n%3d %s", d, method)
			if strings.HasSuffix(method, "_Task") {
				n += d // whether it is done is asked once if it is quick
			}
		}
	}
	for kind := range reads1 {
		if d := reads1[kind] - reads0[kind]; d > 0 && kind != "ContainerView" && kind != "Task" {
			n += d
			made += fmt.Sprintf("\n%3d readings of a %s", d, kind)
		}
	}
	changes := calls1["ReconfigVM_Task"] - calls0["ReconfigVM_Task"]
	if n > 20 || changes > 2 {
		t.Errorf("a pass took %d calls, 20 at most expected, and %d changes of the transporter, two at most:%s", n, changes, made)
	}
	t.Logf("%d calls, %d changes:%s", n, changes, made)
}
