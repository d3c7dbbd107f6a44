package vcenter_test

import (
	"slices"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// The service is killed in each kind of change that it makes at the home of a VM that goes
// back there: once before the change, and once after it. The VM comes home, with its own
// disks and what was written at the other site, and is started once.
func TestAFailbackGoesOnAfterEachKill(t *testing.T) {
	h := newHomeward(t)
	h.must(h.a.c.SetAutoStart(h.ctx, h.web01.Ref, anyTime))
	h.fence(1)
	started := h.a.sim.Calls("PowerOnVM_Task")
	h.faults.killTwice()
	var kills []string
	again := func() {
		if name := h.faults.killed(); name != "" {
			kills = append(kills, name)
			h.a.stop()
			h.a.start()
		}
	}
	x := h.reverse(h.a, "shop-web01", "back", h.replica, spec.Reverses{Run: "r", Round: 1})
	if len(x.Problems) > 0 {
		t.Fatalf("%+v", x.Problems)
	}
	h.apply(x.Job)
	var g spec.ReplicationJob
	h.until("the old VM is the replica", func() bool {
		again()
		st, err := ask[api.VMJobsReply](h.ctx, h.a, api.VMJobStatus, api.VMJobName{Job: "back"})
		if err != nil || len(st.Jobs) != 1 || len(st.Jobs[0].Members) != 1 || st.Jobs[0].Members[0].State != inventory.Ready {
			return false
		}
		g = h.group(string(st.Jobs[0].Members[0].Group))
		return true
	})
	if old, _ := h.vm(h.a, "web01"); old.Power != inventory.PoweredOff || len(old.Hardware.Disks) > 0 || old.Mark(inventory.MarkGroup) != g.Name || !g.Adopts() {
		t.Errorf("%+v", old)
	}
	put(t, g.Target.Disks[0].Path, 1000, "from site b")
	h.must(h.b.c.PowerOff(h.ctx, h.replica.Ref))
	for _, step := range []string{api.VMAttach, api.VMBoot, api.VMKeep} {
		for {
			r, err := ask[api.VMRunReply](h.ctx, h.a, step, api.VMRunRequest{Job: g.Name, Run: "home"})
			if err == nil && r.Done {
				break
			}
			if err != nil && !cdp.Is(err, cdp.Transient) {
				t.Fatal(step, err, kills)
			}
			if again(); err != nil {
				time.Sleep(5 * time.Millisecond)
			}
		}
	}
	v, _ := h.vm(h.a, "web01")
	if v.Power != inventory.PoweredOn || v.Ours() || v.UUID != h.web01.UUID || len(v.Hardware.Disks) != 2 || len(v.Snapshots) > 0 ||
		v.Hardware.Disks[0].UUID != h.web01.Hardware.Disks[0].UUID || v.Hardware.Disks[1].UUID != h.web01.Hardware.Disks[1].UUID {
		t.Errorf("%+v", v)
	}
	h.startsByItself(true)
	if n := h.a.sim.Calls("PowerOnVM_Task") - started; n != 1 {
		t.Errorf("the VM was started %d times", n)
	}
	own, _ := h.vm(h.a, "transporter")
	if len(own.Hardware.Disks) != 1 {
		t.Errorf("the transporter keeps disks: %+v", own.Hardware.Disks)
	}
	t.Log("killed in", kills)
	for _, want := range []string{"Label", "Block", "Unplug", "Plug", "PowerOn"} {
		if n := len(slices.DeleteFunc(slices.Clone(kills), func(k string) bool { return k != want })); n == 0 {
			t.Errorf("it was never killed in %s: %v", want, kills)
		}
	}
}
