package vcenter_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
)

// Inventory is the one VM, so that it can be found by its name.
func (v *oneVM) Inventory(ctx context.Context) (inventory.Inventory, error) {
	vm, err := v.VM(ctx, "u1")
	if err != nil {
		return inventory.Inventory{}, nil
	}
	return inventory.Inventory{VMs: []inventory.VM{vm}, Hosts: v.hosts()}, nil
}

// A plan starts and stops a VM of the site and learns when that is done. The same request
// again changes nothing.
func TestAVMIsStartedAndStoppedForAPlan(t *testing.T) {
	x := newFenced(t)
	set := func(want inventory.PowerChange) error {
		return x.a.refused(api.VMSetPower, api.SetPowerRequest{VM: "web01", Want: want, Wait: spec.Duration(time.Minute)})
	}
	x.must(set(inventory.PowerShutdown))
	x.is(inventory.PoweredOff, false)
	x.must(set(inventory.PowerOff))
	x.must(set(inventory.PowerStart))
	x.is(inventory.PoweredOn, false)
	x.vm.tools = false
	if err := set(inventory.PowerShutdown); !cdp.Is(err, cdp.Conflict) {
		t.Error(err)
	}
	look, err := ask[api.SetPowerReply](x.ctx, x.a, api.VMSetPower, api.SetPowerRequest{VM: "web01", Want: inventory.PowerOff, DryRun: true})
	if err != nil || look.Power != inventory.PoweredOn {
		t.Errorf("%+v %v", look, err)
	}
	x.is(inventory.PoweredOn, false)
	x.must(set(inventory.PowerOff))
	x.is(inventory.PoweredOff, false)
	if err := x.a.refused(api.VMSetPower, api.SetPowerRequest{VM: "nosuch", Want: inventory.PowerStart}); !cdp.Is(err, cdp.NotFound) {
		t.Error(err)
	}
	if err := set("reboot"); !cdp.Is(err, cdp.Invalid) {
		t.Error(err)
	}
}

// A VM that a failover runs elsewhere is not started by a plan, even where the vCenter
// could not forbid that.
func TestAFencedVMIsNotStartedForAPlan(t *testing.T) {
	x := newFenced(t)
	x.must(x.ask(recovery.Fenced, recovery.ShutNow))
	x.must(x.vm.Unblock(x.ctx, "")) // by somebody
	err := x.a.refused(api.VMSetPower, api.SetPowerRequest{VM: "web01", Want: inventory.PowerStart})
	if !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "runs it at the site b") {
		t.Error(err)
	}
	x.is(inventory.PoweredOff, false)
	x.must(x.ask(recovery.Released, ""))
	x.must(x.a.refused(api.VMSetPower, api.SetPowerRequest{VM: "web01", Want: inventory.PowerStart, Wait: spec.Duration(time.Minute)}))
	x.is(inventory.PoweredOn, false)
}

// What Tidemark made is started and stopped by failovers only, and so is nothing that it
// runs on.
func TestReplicasAndTransportersAreNotPoweredForAPlan(t *testing.T) {
	for _, mark := range []string{inventory.MarkGroup, inventory.MarkRun, inventory.MarkTransporter} {
		x := newFenced(t)
		x.vm.marks = map[string]string{mark: "x"}
		for _, want := range []inventory.PowerChange{inventory.PowerStart, inventory.PowerShutdown, inventory.PowerOff} {
			raw, err := json.Marshal(api.SetPowerRequest{VM: "web01", Want: want})
			x.must(err)
			if _, err := x.a.svc.Endpoints()[api.VMSetPower](x.ctx, raw); !cdp.Is(err, cdp.Conflict) {
				t.Error(mark, want, err)
			}
		}
		x.is(inventory.PoweredOn, false)
	}
}
