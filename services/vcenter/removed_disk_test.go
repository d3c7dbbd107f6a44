package vcenter_test

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// A disk is removed at the source. The VM's job goes on with the others, and says so; a
// pass freezes those. A failover makes a VM with the disks of its point. A disk that
// comes back is a new one, and the one from before stays for older points.
func TestARemovedDiskLeavesTheOthersProtected(t *testing.T) {
	w := newWorld(t)
	src, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	job := shop(w.b)
	w.apply(job)
	w.until("web01 is ready", func() bool { return w.states()["web01"] == "ready" })
	v, err := w.a.c.VM(w.ctx, src.UUID)
	w.must(err)
	disk := v.Hardware.Disks[1]
	w.must(w.a.c.Unplug(w.ctx, v.Ref, []string{disk.File}))
	w.until("the job goes on without it", func() bool {
		g := w.group("shop-web01")
		return len(g.Source.Disks) == 2 && g.Source.Disks[1].Removed != 0 && w.reported("was removed from the VM")
	})
	if g := w.group("shop-web01"); g.Source.Disks[0].Removed != 0 || len(g.Target.Disks) != 2 || w.states()["web01"] != "ready" {
		t.Errorf("%+v %v", g, w.states())
	}
	st, err := ask[api.VMJobsReply](w.ctx, w.b, api.VMJobStatus, api.VMJobName{Job: "shop"})
	w.must(err)
	if m := st.Jobs[0].Members[0]; m.Trouble != "" {
		t.Errorf("its trouble: %s", m.Trouble)
	}

	// A second one cannot go too: then nothing would be left.
	w.must(w.a.c.Unplug(w.ctx, v.Ref, []string{v.Hardware.Disks[0].File}))
	w.until("a VM without disks is reported", func() bool { return w.reported("replication has stopped") })
	if g := w.group("shop-web01"); g.Source.Disks[0].Removed != 0 {
		t.Errorf("%+v", g)
	}
	_, err = w.a.c.Plug(w.ctx, v.Ref, []inventory.Plug{{File: v.Hardware.Disks[0].File, Address: "scsi0:0"}, {File: disk.File, Address: "scsi0:1"}})
	w.must(err)
	w.until("the disk that came back is a new one", func() bool {
		g := w.group("shop-web01")
		return len(g.Target.Disks) == 3 && g.Source.Disks[2].Name == "scsi0-1-2" && g.Source.Disks[2].Key == disk.Key && w.states()["web01"] == "ready"
	})

	g := w.group("shop-web01")
	before := w.picture(w.b)
	w.attachedAt(before, []cdp.Disk{{Name: "scsi0-0", Size: int64(g.Source.Disks[0].Size)}, {Name: "scsi0-1", Size: int64(g.Source.Disks[1].Size)}}, "scsi0-1.vmdk")
	all := []cdp.Disk{{Name: "scsi0-0", Size: int64(g.Source.Disks[0].Size)}, {Name: "scsi0-1", Size: int64(g.Source.Disks[1].Size)}, {Name: "scsi0-1-2", Size: int64(g.Source.Disks[2].Size)}}
	w.attachedAt(before, all, "scsi0-1-2.vmdk")

	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop"})
	r, _ := w.vm(w.b, "web01-replica")
	if len(r.Hardware.Disks) != 2 || !strings.HasSuffix(r.Hardware.Disks[1].File, "scsi0-1-2.vmdk") || !strings.Contains(r.Note, "scsi0-1.vmdk") {
		t.Errorf("the VM that the job leaves: %+v", r)
	}
}

// attachedAt fails over to a point with these disks, of which the VM has two, and back.
func (w *world) attachedAt(before string, disks []cdp.Disk, second string) {
	w.t.Helper()
	w.then = disks
	a := w.step(api.VMAttach, false)
	if v, _ := w.vm(w.b, a.VM.Name); len(v.Hardware.Disks) != 2 || !strings.HasSuffix(v.Hardware.Disks[1].File, second) {
		w.t.Errorf("the replica VM has %+v", v.Hardware.Disks)
	}
	w.step(api.VMReturn, false)
	if after := w.picture(w.b); sortedLines(after) != sortedLines(before) {
		w.t.Errorf("after undo:\n%s\nbefore:\n%s", after, before)
	}
}
