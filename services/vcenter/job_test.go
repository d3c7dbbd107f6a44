package vcenter_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/vmpolicy"
)

// Its VMs get replicas, whose disks are at the transporter. New VMs join, and changes
// are followed or refused. It survives without the source, and its deletion leaves
// usable VMs.
func TestLifeOfAJob(t *testing.T) {
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	job := shop(w.b)
	job.Failover = spec.Failover{CommitPolicy: recovery.PolicyUndo, CommitWindow: spec.Duration(time.Hour)}
	reply, err := ask[api.JobCheckReply](w.ctx, w.b, api.VMJobCheck, api.VMJobCheckRequest{Job: job})
	w.must(err)
	if len(reply.Problems) > 0 || !slices.Equal(reply.VMs, []string{"web01"}) {
		t.Fatalf("%+v", reply)
	}
	w.apply(job)
	w.until("web01 is ready", func() bool { return w.states()["web01"] == "ready" })
	w.checkReplica("web01")
	g := w.group("shop-web01")
	if g.Of != "shop" || len(g.Source.Disks) != 2 || g.Source.Disks[0].Name != "scsi0-0" || g.Source.Disks[0].Size != 4*mib || g.Source.VM == "" || g.Failover != job.Failover {
		t.Errorf("%+v", g)
	}
	for _, d := range g.Target.Disks {
		st, err := os.Stat(d.Path)
		w.must(err)
		if st.Size() != 4*mib && st.Size() != 2*mib {
			t.Errorf("%s has %d bytes", d.Path, st.Size())
		}
	}
	if w.runs("shop-web01") {
		t.Error("it runs before it was asked to")
	}
	_, err = ask[api.Empty](w.ctx, w.b, api.VMJobRun, api.VMJobName{Job: "shop"})
	w.must(err)
	w.until("it runs", func() bool { return w.runs("shop-web01") })

	_, err = w.a.sim.AddVM(web("web02"))
	w.must(err)
	w.until("web02 joins", func() bool { return w.states()["web02"] == "ready" })
	w.b.stop() // what it knows survives
	w.b.start()
	w.until("it is as it was", func() bool { return w.states()["web02"] == "ready" })
	bad := web("db01")
	bad.Disks[0].Mode = "independent_persistent"
	_, err = w.a.sim.AddVM(bad)
	w.must(err)
	w.until("db01 is refused", func() bool { return w.states()["db01"] == "refused" && w.reported("independent") })
	if _, there := w.vm(w.b, "db01-replica"); there {
		t.Error("something was made of what was refused")
	}
	w.mu.Lock()
	w.cut = true
	w.mu.Unlock()
	w.until("the loss of the source is reported", func() bool {
		st, err := ask[api.VMJobsReply](w.ctx, w.b, api.VMJobStatus, api.VMJobName{Job: "shop"})
		return err == nil && strings.Contains(st.Jobs[0].Trouble, "does not answer")
	})
	if s := w.states(); s["web01"] != "ready" || s["web02"] != "ready" {
		t.Error(s)
	}
	w.mu.Lock()
	w.cut = false
	w.journals["shop-web01"] = true
	w.mu.Unlock()

	p, err := ask[api.Progress](w.ctx, w.b, api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop"})
	w.must(err)
	if p.Done {
		t.Error("the disks were detached while the journal had them open")
	}
	w.mu.Lock()
	w.journals["shop-web01"] = false
	w.mu.Unlock()
	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop"})
	v, _ := w.vm(w.b, "web01-replica")
	if len(v.Hardware.Disks) != 2 || v.Hardware.Address(v.Hardware.Disks[1]) != "scsi0:1" || v.Ours() {
		t.Errorf("%+v", v)
	}
	w.must(w.b.c.PowerOn(w.ctx, v.Ref))
	if g := w.group("shop-web01"); g.Name != "" || len(w.states()) > 0 {
		t.Error(g, w.states())
	}
	w.unapply("shop")
	w.until("nothing is recorded", w.nothingRecorded)
}

// checkReplica: it has no disks, its power-on is blocked, and it says what it is.
func (w *world) checkReplica(name string) {
	w.t.Helper()
	v, there := w.vm(w.b, name+"-replica")
	if !there || len(v.Hardware.Disks) > 0 || v.Hardware.CPUs != 2 || v.Hardware.Firmware != "efi" || len(v.Hardware.NICs) != 1 ||
		!strings.Contains(v.Note, "Do not power on") || v.Mark(inventory.MarkGroup) != "shop-"+name {
		w.t.Fatalf("%v %+v", there, v)
	}
	if err := w.b.c.PowerOn(w.ctx, v.Ref); err == nil {
		w.t.Fatal("a replica was powered on")
	}
}

func TestReplicasFollowTheirSource(t *testing.T) {
	w := newWorld(t)
	src, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	job := shop(w.b)
	job.Job.Source.VMs = []inventory.Selector{{Name: "web01"}}
	w.apply(job)
	w.until("web01 is ready", func() bool { return w.states()["web01"] == "ready" })
	v, err := w.a.c.VM(w.ctx, src.UUID)
	w.must(err)
	w.must(w.a.c.PowerOff(w.ctx, v.Ref))
	h := vmpolicy.ReplicaHardware(v.Hardware)
	h.CPUs, h.MemoryMB = 4, 512
	w.must(w.a.c.Reshape(w.ctx, v.Ref, h, map[int32]inventory.Ref{v.Hardware.NICs[0].Key: v.Hardware.NICs[0].Network}))
	w.until("the replica follows", func() bool {
		r, _ := w.vm(w.b, "web01-replica")
		return r.Hardware.CPUs == 4 && r.Hardware.MemoryMB == 512
	})
	inv := w.inventory(w.a)
	w.must(w.a.c.MakeDisk(w.ctx, inv.Datacenters[0].Ref, "["+inv.Datastores[0].Name+"] web01/new.vmdk", mib))
	_, err = w.a.c.Plug(w.ctx, v.Ref, []inventory.Plug{{File: "[" + inv.Datastores[0].Name + "] web01/new.vmdk", Address: "scsi0:5"}})
	w.must(err)
	w.until("a new disk is told, and followed", func() bool {
		return w.reported("scsi0:5) is new") && len(w.group("shop-web01").Target.Disks) == 3
	})
	if g := w.group("shop-web01"); g.Source.Disks[2].Size != mib || g.Target.Disks[2].Path == "" || w.states()["web01"] != "ready" {
		t.Errorf("%+v %v", g, w.states())
	}
	w.must(w.a.c.Extend(w.ctx, v.Ref, v.Hardware.Disks[1].File, 6*mib))
	w.until("an extended disk is followed", func() bool { return w.group("shop-web01").Source.Disks[1].Size == 6*mib })
	if s := w.states(); s["web01"] != "ready" || !w.reported("was extended to 6291456 bytes") {
		t.Error(s)
	}
	if st, err := os.Stat(w.group("shop-web01").Target.Disks[1].Path); err != nil || st.Size() != 6*mib {
		t.Error("the device of its replica:", st, err)
	}
	w.must(w.a.c.Label(w.ctx, v.Ref, "www", "", nil))
	w.until("its new name is noted", func() bool { return w.states()["www"] == "ready" && w.reported("renamed from web01") })
	only := api.VMJobDeleteRequest{Job: "shop", Group: "shop-web01", Replicas: true}
	if err := w.b.refused(api.VMJobDelete, only); !cdp.Is(err, cdp.Conflict) || cdp.HintOf(err) == "" || w.group("shop-web01").Name == "" {
		t.Error("released, although the job selects it:", err)
	}
	w.must(w.a.c.Destroy(w.ctx, v.Ref, true))
	w.until("it is gone", func() bool { return w.states()["www"] == "gone" })
	if _, there := w.vm(w.b, "web01-replica"); !there {
		t.Error("the replica went with it")
	}
	// A gone member can be released, and the job continues with the others.
	w.b.progress(api.VMJobDelete, only)
	if _, there := w.vm(w.b, "web01-replica"); there || w.group("shop-web01").Name != "" || len(w.states()) > 0 {
		t.Error("it is kept:", there, w.states())
	}
	w.b.progress(api.VMJobDelete, only)
	job.Job.Source.VMs = []inventory.Selector{{Name: "web02"}}
	_, err = w.a.sim.AddVM(web("web02"))
	w.must(err)
	w.apply(job)
	w.until("web02 is ready", func() bool { return w.states()["web02"] == "ready" })
}

func TestSeedsAreTakenAndDeletedWithTheReplicas(t *testing.T) {
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	before := w.picture(w.b)
	seed := w.oldDisk(4 * mib)
	w.apply(seeded(w.b, "web01", seed))
	w.until("web01 is ready", func() bool { return w.states()["web01"] == "ready" })
	if g := w.group("shop-web01"); !g.Target.Adopt {
		t.Errorf("%+v", g)
	}
	v, _ := w.vm(w.b, "transporter")
	if !slices.ContainsFunc(v.Hardware.Disks, func(d inventory.Disk) bool { return d.File == seed }) {
		t.Errorf("%+v", v.Hardware.Disks)
	}
	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
	if after := w.picture(w.b); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func TestAFilterIsAttachedWhileTheJobRuns(t *testing.T) {
	w := newWorld(t)
	src, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	job := shop(w.b)
	job.Job.Source.Capture = "tap"
	reply, err := ask[api.JobCheckReply](w.ctx, w.b, api.VMJobCheck, api.VMJobCheckRequest{Job: job})
	w.must(err)
	if len(reply.Problems) != 1 || reply.Problems[0].Path != "/spec/source/filter" {
		t.Fatalf("%+v", reply)
	}
	job.Job.Source.Filter = w.installFilter()
	w.apply(job)
	w.until("web01 is ready", func() bool { return w.states()["web01"] == "ready" })
	w.mu.Lock()
	w.exports = []string{"nbd://10.0.0.1:1/0", "nbd://10.0.0.1:1/1"}
	w.mu.Unlock()
	seen := func() int { return w.seenDisks(src.UUID) }
	asked := func() int { w.mu.Lock(); defer w.mu.Unlock(); return w.looks }
	for n := asked(); asked() < n+3; { // so that it was looked at with those
		time.Sleep(10 * time.Millisecond)
	}
	if n := seen(); n != 0 {
		t.Error("the job was not run, and the filter sees", n)
	}
	w.must(w.b.tell(api.VMJobRun, api.VMJobName{Job: "shop"}))
	w.until("the filter sees both disks", func() bool { return seen() == 2 })
	w.must(w.b.tell(api.VMJobStop, api.VMJobName{Job: "shop"}))
	w.until("the filter sees none while the job is stopped", func() bool { return seen() == 0 })
	w.must(w.b.tell(api.VMJobRun, api.VMJobName{Job: "shop"}))
	w.until("the filter sees both disks again", func() bool { return seen() == 2 })
	refused := w.a.refused(api.FilterChange, api.FilterRequest{Cluster: w.inventory(w.a).Clusters[0].Name, Do: "uninstall", Filter: job.Job.Source.Filter})
	if !cdp.Is(refused, cdp.Conflict) {
		t.Error(refused)
	}
	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
	if n := seen(); n != 0 {
		t.Error("the filter still sees", n)
	}
}
