package vcenter_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// setMember changes what is recorded of web01, while the service is down.
func (w *world) setMember(change func(*inventory.Member)) {
	w.t.Helper()
	w.b.stop()
	m, rev := w.kept("shop-web01")
	change(&m)
	raw, err := json.Marshal(m)
	w.must(err)
	_, err = w.b.recs.Put(w.ctx, "member.shop-web01", raw, rev)
	w.must(err)
	w.b.start()
}

// clone is what an operator makes of a VM of ours: it has all its settings.
func (w *world) clone(v inventory.VM, name string) inventory.VM {
	w.t.Helper()
	gc, err := w.b.sim.Client(w.ctx)
	w.must(err)
	defer func() { w.must(gc.Logout(context.WithoutCancel(w.ctx))) }()
	ref := func(kind string, r inventory.Ref) types.ManagedObjectReference {
		return types.ManagedObjectReference{Type: kind, Value: strings.TrimPrefix(string(r), kind+":")}
	}
	var folder inventory.Ref
	for _, f := range w.inventory(w.b).Folders {
		if strings.HasSuffix(f.Path, "/vm") {
			folder = f.Ref
		}
	}
	task, err := object.NewVirtualMachine(gc.Client, ref("VirtualMachine", v.Ref)).
		Clone(w.ctx, object.NewFolder(gc.Client, ref("Folder", folder)), name, types.VirtualMachineCloneSpec{})
	w.must(err)
	w.must(task.Wait(w.ctx))
	made, _ := w.vm(w.b, name)
	marks := map[string]string{} // the simulator's clone has none
	for _, k := range []string{inventory.MarkRun, inventory.MarkGroup, inventory.MarkJob} {
		if m := v.Mark(k); m != "" {
			marks[k] = m
		}
	}
	w.must(w.b.c.Label(w.ctx, made.Ref, "", "", marks))
	made, _ = w.vm(w.b, name)
	return made
}

// stranger is a running foreign VM at the target.
func (w *world) stranger() inventory.VM {
	w.t.Helper()
	x := web("erp")
	x.Folder = ""
	_, err := w.b.sim.AddVM(x)
	w.must(err)
	v, _ := w.vm(w.b, "erp")
	return v
}

// The recorded reference is somebody else's VM now. Nothing is done to it, and the
// replica is found by its marks.
func TestAReusedReferenceIsNotTheReplica(t *testing.T) {
	w := failover(t, nil)
	erp := w.stranger()
	untouched := func(when string) {
		t.Helper()
		v, there := w.vm(w.b, "erp")
		extra, err := w.b.c.Extra(w.ctx, erp.Ref)
		w.must(err)
		if !there || v.Power != "on" || len(v.Hardware.Disks) != 2 || len(v.Snapshots) != 0 || v.Note != erp.Note || extra["tidemark.blocked"] != "" {
			t.Fatalf("%s: another's VM was touched: %+v", when, v)
		}
	}
	for _, known := range []bool{true, false} {
		w.setMember(func(m *inventory.Member) {
			m.Replica = erp.Ref
			if !known { // as a crash leaves it, before the replica was looked at
				m.ReplicaUUID = ""
			}
		})
		w.step(api.VMAttach, false)
		untouched("attached")
		w.step(api.VMBoot, false)
		if v, _ := w.vm(w.b, "web01-replica"); v.Power != "on" || len(v.Hardware.Disks) != 2 {
			t.Errorf("%+v", v)
		}
		w.step(api.VMStop, false)
		w.step(api.VMReturn, false)
		w.until("it is reconciled again", func() bool { return w.states()["web01"] == "ready" })
		untouched("undone")
	}
	w.setMember(func(m *inventory.Member) { m.Replica = erp.Ref })
	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
	untouched("deleted")
	if _, there := w.vm(w.b, "web01-replica"); there {
		t.Error("the replica was left")
	}
}

// A committed VM is identified by its UUID.
func TestAReusedReferenceAfterCommit(t *testing.T) {
	w := failover(t, nil)
	erp := w.stranger()
	w.step(api.VMAttach, false)
	w.step(api.VMBoot, false)
	w.step(api.VMKeep, false)
	w.setMember(func(m *inventory.Member) { m.Replica = erp.Ref })
	if k := w.step(api.VMKeep, false); k.VM == nil || k.VM.Name != "web01-replica" {
		t.Errorf("%+v", k.VM)
	}
	if v, _ := w.vm(w.b, "erp"); v.Note != erp.Note {
		t.Error(v.Note)
	}
	// As if the commit had been cut short before it took the marks.
	v, _ := w.vm(w.b, "web01-replica")
	w.must(w.b.c.Label(w.ctx, v.Ref, "", "", map[string]string{inventory.MarkGroup: "shop-web01", inventory.MarkJob: "shop"}))
	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
	if v, there := w.vm(w.b, "web01-replica"); !there || v.Ours() || v.Power != "on" || len(v.Hardware.Disks) != 2 {
		t.Errorf("%+v", v)
	}
}

// The clone has all marks of the test.
func TestCleanupKeepsACloneOfATest(t *testing.T) {
	w := failover(t, nil)
	w.step(api.VMBuild, true)
	w.step(api.VMAttach, true)
	w.step(api.VMBoot, true)
	v, _ := w.vm(w.b, "web01-replica-test-00test42")
	if c := w.clone(v, "kept-by-operator"); c.Mark(inventory.MarkRun) == "" || len(c.Hardware.Disks) != 2 {
		t.Fatalf("%+v", c)
	}
	w.step(api.VMStop, true)
	w.step(api.VMRemove, true)
	w.step(api.VMRemove, true)
	if c, there := w.vm(w.b, "kept-by-operator"); !there || len(c.Hardware.Disks) != 2 {
		t.Errorf("the operator's clone: there %v, %+v", there, c.Hardware.Disks)
	}
	if _, there := w.vm(w.b, v.Name); there {
		t.Error("the test's VM was left")
	}
}

// Somebody attached a disk of the test to another VM.
func TestCleanupKeepsADiskInUse(t *testing.T) {
	w := failover(t, nil)
	w.step(api.VMBuild, true)
	w.step(api.VMAttach, true)
	test, _ := w.vm(w.b, "web01-replica-test-00test42")
	file := test.Hardware.Disks[0].File
	v := w.precious(nil)
	_, err := w.b.c.Plug(w.ctx, v.Ref, []inventory.Plug{{File: file, Address: "scsi0:5"}})
	w.must(err)
	if _, err := w.tryStep(api.VMRemove, true); !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), v.Path) {
		t.Error("removed:", err)
	}
	if _, err := w.b.c.DiskSize(w.ctx, w.inventory(w.b).Datacenters[0].Ref, file); err != nil {
		t.Errorf("the disk was deleted: %v", err)
	}
	w.must(w.b.c.Unplug(w.ctx, v.Ref, []string{file}))
	w.step(api.VMRemove, true)
}

// If neither was recorded, an operator has to decide.
func TestAClonedReplicaIsToldFromItsClone(t *testing.T) {
	w := failover(t, nil)
	v, _ := w.vm(w.b, "web01-replica")
	w.clone(v, "kept-by-operator")
	w.setMember(func(m *inventory.Member) { m.Replica, m.ReplicaUUID = "", "" })
	w.until("it is reported", func() bool {
		st, err := ask[api.VMJobsReply](w.ctx, w.b, api.VMJobStatus, api.VMJobName{Job: "shop"})
		return err == nil && strings.Contains(st.Jobs[0].Trouble, "kept-by-operator")
	})
	if err := w.b.refused(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true}); !cdp.Is(err, cdp.Conflict) {
		t.Error("deleted without knowing which:", err)
	}
	w.setMember(func(m *inventory.Member) { m.ReplicaUUID = v.UUID })
	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
	if _, there := w.vm(w.b, "kept-by-operator"); !there {
		t.Error("the operator's clone was deleted")
	}
	if _, there := w.vm(w.b, v.Name); there {
		t.Error("the replica was left")
	}
}

// The process that made the test's VM died, and the vCenter makes it after cleanup
// began.
func TestCleanupFindsWhatAppearsLate(t *testing.T) {
	for _, call := range []string{"CreateVM_Task", "CreateVirtualDisk_Task"} {
		t.Run(call, func(t *testing.T) {
			w := failover(t, nil)
			before := w.picture(w.b)
			w.b.sim.Delay(call, 2*time.Second, 1)
			calls := w.b.sim.Calls(call)
			build := api.VMRunRequest{Job: "shop-web01", Run: "01jrun0000test42", Test: true}
			w.until("the call is under way", func() bool {
				_, err := ask[api.VMRunReply](w.ctx, w.b, api.VMBuild, build)
				w.must(err)
				return w.b.sim.Calls(call) > calls
			})
			w.b.stop()
			w.b.start()
			w.step(api.VMRemove, true)
			time.Sleep(3 * time.Second) // the call has had its effect
			if after := w.picture(w.b); after != before {
				t.Errorf("before:\n%s\nleft:\n%s", before, after)
			}
		})
	}
}
