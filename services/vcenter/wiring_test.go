package vcenter_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/vcenter"
)

// A disaster changes plans: the networks and addresses that a failover uses can be
// changed without the source, and none of them keeps a VM off.
func TestNetworksAndAddressesCanBeChangedWithoutTheSource(t *testing.T) {
	w := failover(t, func(j *spec.VMJob) {
		j.Target.ReIP = []inventory.ReIP{{From: "10.0.0.0/24", To: "192.0.2.0/24"}}
		j.Checks = inventory.Checks{Timeout: 300 * time.Millisecond}
	})
	guest := &wires{VCenter: w.b.c}
	w.b.stop()
	w.b.vc = guest
	w.b.start()
	inv := w.inventory(w.b)
	w.mu.Lock()
	job := w.jobs["shop"]
	w.mu.Unlock()
	cut := job
	cut.Target.Networks = nil
	if r := w.checked(cut); !strings.Contains(told(r.Problems), "web01: /spec/target/networks") {
		t.Errorf("a network is taken away: %+v", r)
	}
	more := job
	more.Job.Source.VMs = append([]inventory.Selector{{Name: "web02"}}, job.Job.Source.VMs...)
	if r := w.checked(more); len(r.Problems) != 1 || r.Problems[0].Rule != inventory.RuleUnreachable {
		t.Errorf("another VM is to be protected: %+v", r)
	}
	job.Target.Networks = []inventory.NetworkMap{{From: "VM Network", To: inv.Networks[1].Path}}
	job.Target.ReIP = []inventory.ReIP{{From: "10.0.0.0/24", To: "198.51.100.0/24"}}
	r := w.checked(job)
	if len(r.Problems) > 0 || len(r.Warnings) != 1 || !strings.Contains(told(r.Warnings), "does not report its VMs") || len(r.VMs) != 1 || len(r.Leaves) > 0 {
		t.Fatalf("%+v", r)
	}
	w.apply(job)
	w.step(api.VMAttach, false)
	w.step(api.VMBoot, false)
	v, _ := w.vm(w.b, "web01-replica")
	if id := guest.given.Load(); id == nil || id.NICs[0].IP != "198.51.100.5" || v.Hardware.NICs[0].Network != inv.Networks[1].Ref {
		t.Errorf("%+v on %+v", id, v.Hardware.NICs)
	}
	w.step(api.VMReturn, false)

	guest.given.Store(nil)
	job.Target.Networks = []inventory.NetworkMap{{From: "VM Network", To: "it was deleted"}}
	w.apply(job)
	w.step(api.VMAttach, false)
	boot := w.asItWas(api.VMBoot)
	if boot.VM.Power != "on" || !strings.Contains(boot.Text, "has no network") || guest.given.Load() != nil {
		t.Errorf("%+v, configured %+v", boot, guest.given.Load())
	}
	w.step(api.VMReturn, false)

	guest.refuses.Store(true)
	job.Target.Networks = []inventory.NetworkMap{{From: "VM Network", To: inv.Networks[0].Path, Test: inv.Networks[1].Path}}
	w.apply(job)
	w.step(api.VMAttach, false)
	if boot := w.asItWas(api.VMBoot); boot.VM.Power != "on" || !strings.Contains(boot.Text, "refused to connect its network cards") {
		t.Errorf("%+v", boot)
	}
	networks := func() bool {
		for _, c := range w.asItWas(api.VMCheck).VM.Checks {
			if c.Name == "networks" {
				return c.OK
			}
		}
		t.Fatal("the network cards were not checked")
		return false
	}
	v, _ = w.vm(w.b, "web01-replica")
	w.must(w.b.c.Connect(w.ctx, v.Ref, map[int32]inventory.Ref{v.Hardware.NICs[0].Key: inv.Networks[0].Ref}))
	w.until("the check finds them connected", networks)
	w.step(api.VMReturn, false)
}

// asItWas does a step of a failover whose guest keeps the addresses that it had at the
// source.
func (w *world) asItWas(step string) api.VMRunReply {
	w.t.Helper()
	return done(w.t, w.b, step, api.VMRunRequest{Job: "shop-web01", Run: "01jrun0000test42", NoReIP: true}, func(r api.VMRunReply) bool { return r.Done })
}

// wires is a vCenter that remembers the addresses that it gave a guest, and may
// refuse to connect network cards.
type wires struct {
	vcenter.VCenter
	given   atomic.Pointer[inventory.Identity]
	refuses atomic.Bool
}

func (x *wires) Customize(ctx context.Context, vm inventory.Ref, id inventory.Identity) error {
	x.given.Store(&id)
	return x.VCenter.Customize(ctx, vm, id)
}

func (x *wires) Connect(ctx context.Context, vm inventory.Ref, networks map[int32]inventory.Ref) error {
	if x.refuses.Load() {
		return cdp.Errorf(cdp.Conflict, "connect network cards", "vm", "the port group has no free port")
	}
	return x.VCenter.Connect(ctx, vm, networks)
}
