package vcenter_test

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
)

// homeward is a world whose VM runs at b since a committed failover.
type homeward struct {
	*world
	faults         *faulty      // of the vCenter at a
	web01, replica inventory.VM // at a, and at b
}

func newHomeward(t *testing.T) *homeward {
	h := &homeward{world: newWorld(t)}
	h.a.stop() // before b asks it
	h.faults = &faulty{VCenter: h.a.vc}
	h.a.vc = h.faults
	h.a.start()
	h.readyThenDead(nil)
	for _, step := range []string{api.VMAttach, api.VMBoot, api.VMKeep} {
		h.step(step, false)
	}
	h.mu.Lock()
	h.cut = false
	h.mu.Unlock()
	h.web01, _ = h.vm(h.a, "web01")
	h.replica, _ = h.vm(h.b, "web01-replica")
	return h
}

// reverse asks a site for the job that leads back from the failover of a group.
func (h *homeward) reverse(e *end, of, name string, now inventory.VM, r spec.Reverses) api.VMReverseReply {
	h.t.Helper()
	g := h.group(of)
	r.Site, r.Job, r.OldDisks, r.VM = g.Target.Site, of, true, g.Source.VM
	out, err := ask[api.VMReverseReply](h.ctx, e, api.VMJobReverse, api.VMReverseRequest{Name: name, Of: g, VM: now.UUID, Reverses: r})
	h.must(err)
	return out
}

// ready applies a reversed job, and waits until its VM's replica is ready.
func (h *homeward) ready(e *end, j spec.VMJob) spec.ReplicationJob {
	h.t.Helper()
	h.apply(j)
	var group string
	h.until(j.Name+" is ready", func() bool {
		st, err := ask[api.VMJobsReply](h.ctx, e, api.VMJobStatus, api.VMJobName{Job: j.Name})
		if err != nil || len(st.Jobs) != 1 || len(st.Jobs[0].Members) != 1 || st.Jobs[0].Members[0].State != inventory.Ready {
			return false
		}
		group = string(st.Jobs[0].Members[0].Group)
		return true
	})
	return h.group(group)
}

// moved fails the VM of a group over, and commits that.
func (h *homeward) moved(e *end, group string) {
	h.t.Helper()
	for _, name := range []string{api.VMAttach, api.VMBoot, api.VMKeep} {
		done(h.t, e, name, api.VMRunRequest{Job: group, Run: "home"}, func(r api.VMRunReply) bool { return r.Done })
	}
}

// fence has the failover to b keep the VM at a off.
func (h *homeward) fence(turn uint64) api.Progress {
	return h.a.progress(api.VMFence, api.FenceRequest{Group: "shop-web01", VM: h.web01.UUID, Target: "b", Run: "r", Turn: turn, Want: recovery.Fenced, Shutdown: recovery.ShutNow})
}

// anyTime is how the VM's host starts it.
var anyTime = inventory.AutoStart{StartAction: "powerOn", StartOrder: -1, StartDelay: -1, WaitForHeartbeat: "no", StopAction: "systemDefault", StopDelay: -1}

// startsByItself checks whether the VM at a is started by its host, and restarted by HA.
func (h *homeward) startsByItself(yes bool) {
	h.t.Helper()
	x, err := h.a.c.AutoStart(h.ctx, h.web01.Ref)
	h.must(err)
	ha, err := h.a.c.HARestart(h.ctx, h.web01.Ref)
	h.must(err)
	if x.Starts() != yes || ha.Restarts != yes || yes && ha.Override {
		h.t.Errorf("autostart %+v, HA %+v; want %v", x, ha, yes)
	}
}

// A VM that was failed over is protected back to the VM that it came from: that one,
// with its own disks, is the replica, and runs again after a failover home. Then it is
// protected to the other site again. Tidemark did not make that VM, and never deletes it.
func TestAVMGoesHomeToItsOwnDisks(t *testing.T) {
	h := newHomeward(t)
	h.must(h.a.c.SetAutoStart(h.ctx, h.web01.Ref, anyTime))
	h.startsByItself(true)
	if got := texts(h.reverse(h.a, "shop-web01", "back", h.replica, spec.Reverses{Run: "r", Round: 1}).Problems); !strings.Contains(got, "is on: shut it down") {
		t.Error(got)
	}
	h.fence(1)
	h.startsByItself(false)
	h.must(h.a.sim.GuestWrite("web01", h.web01.Hardware.Disks[0].Key, 1000, []byte("as it was")))
	x := h.reverse(h.a, "shop-web01", "back", h.replica, spec.Reverses{Run: "r", Round: 1})
	if len(x.Problems) > 0 || len(x.Overwrites) != 2 || x.Overwrites[0].Size != 4*mib || x.Job.Target.Networks[0].To == "" {
		t.Fatalf("%+v", x)
	}
	h.faults.deceive("Label", "Unplug") // accepted, and not done
	g := h.ready(h.a, x.Job)
	h.isReplica(g)
	h.keptByADeletion(x.Job)
	g = h.ready(h.a, x.Job)
	put(t, g.Target.Disks[0].Path, 1000, "from site b")

	if err := h.a.refused(api.VMFreeze, api.FreezeRequest{Group: "shop-web01", VM: h.web01.UUID, Keys: []int32{h.web01.Hardware.Disks[0].Key}, Pass: "p"}); !cdp.Is(err, cdp.Conflict) {
		t.Error("the replica was frozen:", err)
	}
	h.must(h.b.c.PowerOff(h.ctx, h.replica.Ref))
	h.moved(h.a, g.Name)
	if p := h.fence(2); !strings.Contains(p.Text, "leads back") {
		t.Errorf("what the first failover still owes: %+v", p)
	}
	v, _ := h.vm(h.a, "web01")
	if v.Power != inventory.PoweredOn || v.Ours() || v.Note != h.web01.Note || v.UUID != h.web01.UUID || len(v.Snapshots) > 0 || v.Hardware.Address(v.Hardware.Disks[1]) != "scsi0:1" || v.Hardware.Disks[0].UUID != h.web01.Hardware.Disks[0].UUID {
		t.Errorf("%+v", v)
	}
	h.startsByItself(true)
	y := h.reverse(h.b, g.Name, "again", v, spec.Reverses{Run: "home", Round: 2, Before: "shop-web01"})
	if len(y.Problems) > 0 {
		t.Fatalf("%+v", y.Problems)
	}
	again := h.ready(h.b, y.Job)
	if again.Source.VM != h.web01.UUID || again.Target.VM != "web01-replica" || again.Target.Disks[0].Path == "" || again.Round() != 2 {
		t.Errorf("%+v", again)
	}
}

// isReplica fails unless the old VM is the replica of the group, and its disks are at the
// transporter as they were.
func (h *homeward) isReplica(g spec.ReplicationJob) {
	h.t.Helper()
	v, _ := h.vm(h.a, "web01")
	if v.Power != inventory.PoweredOff || len(v.Hardware.Disks) > 0 || v.Mark(inventory.MarkGroup) != g.Name {
		h.t.Errorf("%+v", v)
	}
	if g.Source.VM != h.replica.UUID || g.Target.VM != "web01" || !g.Adopts() || !g.Retires("b", "shop-web01", 0) {
		h.t.Errorf("%+v", g)
	}
	if got := get(h.t, g.Target.Disks[0].Path, 1000, 9); got != "as it was" {
		h.t.Error(got)
	}
	if err := h.a.c.PowerOn(h.ctx, v.Ref); !cdp.Is(err, cdp.Conflict) {
		h.t.Error("the replica can be powered on:", err)
	}
}

// keptByADeletion: the VM has its disks again when the job is deleted with its replicas,
// and still cannot be started beside the one that runs.
func (h *homeward) keptByADeletion(j spec.VMJob) {
	h.t.Helper()
	p := h.a.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: j.Name, Replicas: true})
	h.unapply(j.Name)
	h.until("the job is forgotten", func() bool {
		_, err := ask[api.VMJobsReply](h.ctx, h.a, api.VMJobStatus, api.VMJobName{Job: j.Name})
		return cdp.Is(err, cdp.NotFound)
	})
	v, ok := h.vm(h.a, "web01")
	if !ok || len(v.Hardware.Disks) != 2 || v.Hardware.Disks[0].UUID != h.web01.Hardware.Disks[0].UUID || v.Ours() || !strings.Contains(p.Text, "not made by Tidemark") {
		h.t.Errorf("%v %+v: %q", ok, v, p.Text)
	}
	if err := h.a.c.PowerOn(h.ctx, v.Ref); !cdp.Is(err, cdp.Conflict) {
		h.t.Error("it can be powered on:", err)
	}
}

func texts(problems []inventory.Problem) string {
	var out []string
	for _, p := range problems {
		out = append(out, p.Text)
	}
	return strings.Join(out, "\n")
}
