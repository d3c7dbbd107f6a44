package vcenter_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// seeded is the shop's job with a file as the seed of a VM's first disk.
func seeded(b *end, vm, file string) spec.VMJob {
	job := shop(b)
	job.Target.Seeds = []inventory.Seed{{DiskRef: inventory.DiskRef{VM: vm, Disk: "scsi0:0"}, File: file}}
	return job
}

// precious is a powered-off foreign VM at the target.
func (w *world) precious(change func(*vcsim.VMSpec)) inventory.VM {
	w.t.Helper()
	x := web("precious")
	x.On, x.Folder = false, ""
	if change != nil {
		change(&x)
	}
	_, err := w.b.sim.AddVM(x)
	w.must(err)
	v, _ := w.vm(w.b, "precious")
	return v
}

// It is not deleted with the job that named it.
func TestASeedInUseIsRefused(t *testing.T) {
	for name, snapshot := range map[string]bool{"disk": false, "below a snapshot": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			_, err := w.a.sim.AddVM(web("web01"))
			w.must(err)
			v := w.precious(nil)
			seed := v.Hardware.Disks[0].File
			if snapshot {
				_, err := w.b.c.Snapshot(w.ctx, v.Ref, "before the update", "", false)
				w.must(err)
			}
			job := seeded(w.b, "web01", strings.Replace(seed, "] ", "] ./", 1))
			r, err := ask[api.JobCheckReply](w.ctx, w.b, api.VMJobCheck, api.VMJobCheckRequest{Job: job})
			w.must(err)
			if len(r.Problems) != 1 || r.Problems[0].Rule != "in-use" || r.Problems[0].VM != "web01" || !strings.Contains(r.Problems[0].Text, v.Path) {
				t.Errorf("%+v", r.Problems)
			}
			w.apply(job)
			w.until("it is refused", func() bool { return w.states()["web01"] == "refused" && w.reported("is a disk of the VM") })
			w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
			if _, err := w.b.c.DiskSize(w.ctx, w.inventory(w.b).Datacenters[0].Ref, seed); err != nil {
				t.Errorf("the disk of another VM was deleted: %v", err)
			}
		})
	}
}

// After the job was checked, somebody attached the seed to a VM, or named it in
// another job.
func TestASeedIsCheckedAgainBeforeItIsTaken(t *testing.T) {
	w := newWorld(t)
	seed := w.oldDisk(4 * mib)
	h := &hook{faulty: &faulty{VCenter: w.b.c}}
	given := false
	h.makeVM = func() { // the round has been checked, and the seed is next
		if given {
			return
		}
		given = true
		v := w.precious(nil)
		_, err := w.b.c.Plug(w.ctx, v.Ref, []inventory.Plug{{File: seed, Address: "scsi0:5"}})
		w.must(err)
	}
	w.b.stop()
	w.b.vc = h
	w.b.start()
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	w.apply(seeded(w.b, "web01", seed))
	w.until("it is refused", func() bool { return w.reported("is a disk of the VM") })
	if tr, _ := w.vm(w.b, "transporter"); len(tr.Hardware.Disks) != 1 {
		t.Errorf("%+v", tr.Hardware.Disks)
	}
	if st := w.states()["web01"]; st != "preparing" {
		t.Error(st)
	}
	v, _ := w.vm(w.b, "precious")
	w.must(w.b.c.Unplug(w.ctx, v.Ref, []string{seed}))
	w.until("it is taken when it is free", func() bool { return w.states()["web01"] == "ready" })
	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
	if v, _ := w.vm(w.b, "precious"); len(v.Hardware.Disks) != 2 {
		t.Errorf("%+v", v.Hardware.Disks)
	}
}

func TestARefusedSeedIsNotDeletedWithTheJob(t *testing.T) {
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	seed := w.oldDisk(8 * mib)
	w.apply(seeded(w.b, "web01", seed))
	w.until("it is refused", func() bool { return w.reported("it has 8388608 bytes") })
	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
	if _, err := w.b.c.DiskSize(w.ctx, w.inventory(w.b).Datacenters[0].Ref, seed); err != nil {
		t.Errorf("a disk that was never taken was deleted: %v", err)
	}
}

func TestAReplicasDiskCannotBeASeed(t *testing.T) {
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	seed := w.oldDisk(4 * mib)
	w.apply(seeded(w.b, "web01", seed))
	w.until("web01 is ready", func() bool { return w.states()["web01"] == "ready" })
	x := web("web02")
	x.Folder = "other"
	_, err = w.a.sim.AddVM(x)
	w.must(err)
	two := seeded(w.b, "web02", seed)
	two.Name, two.Job.Name = "two", "two"
	two.Job.Source.VMs = []inventory.Selector{{Name: "web02"}}
	w.apply(two)
	w.until("it is refused", func() bool {
		return w.states()["web02"] == "refused" && w.reported("is already a disk of the replica shop-web01")
	})
	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "two", Replicas: true})
	if g := w.group("two-web02"); g.Name != "" {
		t.Errorf("%+v", g)
	}
	if w.states()["web01"] != "ready" {
		t.Error(w.states())
	}
}

// Somebody attached a replica's disk to another VM.
func TestDeletionKeepsADiskInUse(t *testing.T) {
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	w.apply(shop(w.b))
	w.until("web01 is ready", func() bool { return w.states()["web01"] == "ready" })
	tr, _ := w.vm(w.b, "transporter")
	file := tr.Hardware.Disks[1].File
	v := w.precious(nil)
	_, err = w.b.c.Plug(w.ctx, v.Ref, []inventory.Plug{{File: file, Address: "scsi0:5"}})
	if err != nil { // the transporter runs, and has it locked
		w.must(w.b.c.Unplug(w.ctx, tr.Ref, []string{file}))
		_, err = w.b.c.Plug(w.ctx, v.Ref, []inventory.Plug{{File: file, Address: "scsi0:5"}})
		w.must(err)
	}
	err = w.b.refused(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
	if err == nil || !strings.Contains(err.Error(), v.Path) {
		t.Error("deleted:", err)
	}
	if _, err := w.b.c.DiskSize(w.ctx, w.inventory(w.b).Datacenters[0].Ref, file); err != nil {
		t.Errorf("the disk was deleted: %v", err)
	}
	w.must(w.b.c.Unplug(w.ctx, v.Ref, []string{file}))
	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
}

// A file can have two names on a datastore. Its UUID is compared before anything is
// written.
func TestASeedIsComparedByUUID(t *testing.T) {
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	v := w.precious(nil)
	ds, rest, _ := strings.Cut(v.Hardware.Disks[0].File, "] ")
	flat, err := w.b.sim.FlatPath(v.Hardware.Disks[0].File)
	w.must(err)
	dir := filepath.Dir(flat)
	w.must(os.Symlink(dir, dir+"-alias"))
	alias := ds + "] " + filepath.Dir(rest) + "-alias/" + filepath.Base(rest)
	w.apply(seeded(w.b, "web01", alias))
	w.until("it is refused", func() bool { return w.reported("is a disk of the VM " + v.Path) })
	if tr, _ := w.vm(w.b, "transporter"); slices.ContainsFunc(tr.Hardware.Disks, func(d inventory.Disk) bool { return d.File == alias }) {
		t.Errorf("%+v", tr.Hardware.Disks)
	}
	if g := w.group("shop-web01"); g.Name != "" {
		t.Errorf("%+v", g)
	}
	copied := w.oldDisk(4 * mib)
	w.apply(seeded(w.b, "web01", copied))
	w.until("another is taken", func() bool { return w.states()["web01"] == "ready" })
	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
	if _, err := os.Stat(flat); err != nil {
		t.Error("the disk of another VM was deleted:", err)
	}
}

// oldDisk is an unused disk at the target: a seed, if it fits.
func (w *world) oldDisk(size int64) string {
	w.t.Helper()
	inv := w.inventory(w.b)
	file := "[" + inv.Datastores[1].Name + "] old/web01.vmdk"
	w.must(w.b.c.MakeDisk(w.ctx, inv.Datacenters[0].Ref, file, size))
	return file
}
