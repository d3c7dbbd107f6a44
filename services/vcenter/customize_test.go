package vcenter_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/vcenter"
)

// stubborn is a vCenter that customizes no guest.
type stubborn struct{ vcenter.VCenter }

func (stubborn) Customize(context.Context, inventory.Ref, inventory.Identity) error {
	return cdp.Errorf(cdp.Conflict, "customize the guest", "vm", "customization of the guest operating system is not supported")
}

// It runs, and the failover says which addresses to set by hand.
func TestARefusedCustomizationLeavesTheVMRunning(t *testing.T) {
	w := failover(t, func(j *spec.VMJob) {
		j.Target.ReIP = []inventory.ReIP{{From: "10.0.0.0/24", To: "192.0.2.0/24"}}
		j.Checks = inventory.Checks{Timeout: 300 * time.Millisecond}
	})
	w.b.stop()
	w.b.vc = stubborn{w.b.c}
	w.b.start()
	w.step(api.VMAttach, false)
	boot := w.step(api.VMBoot, false)
	if boot.VM.Power != "on" || !strings.Contains(boot.Text, "is powered on, but the vCenter refused") || !strings.Contains(boot.Text, "192.0.2.5") {
		t.Errorf("%+v", boot)
	}
	failed := func() (text string) {
		for _, c := range w.step(api.VMCheck, false).VM.Checks {
			if !c.OK {
				text += c.Name + ": " + c.Text
			}
		}
		return text
	}
	if text := failed(); !strings.Contains(text, "addresses: the vCenter refused") {
		t.Error(text)
	}
	w.must(w.b.sim.Tools("web01-replica", true, "192.0.2.5")) // somebody sets it by hand
	w.until("its check passes", func() bool { return failed() == "" })
	w.step(api.VMStop, false)
	w.step(api.VMReturn, false)
}
