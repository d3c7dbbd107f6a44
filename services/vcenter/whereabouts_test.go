package vcenter_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// moveDisks moves a VM's disks below a folder to another datastore, as storage vMotion
// does. It leaves them detached, as an interrupted step does, unless attach is set.
func (w *world) moveDisks(vm, folder, to string, attach bool) {
	w.t.Helper()
	w.b.stop()
	defer w.b.start()
	gc, err := w.b.sim.Client(w.ctx)
	w.must(err)
	defer func() { w.must(gc.Logout(context.WithoutCancel(w.ctx))) }()
	dc := object.NewDatacenter(gc.Client, types.ManagedObjectReference{Type: "Datacenter", Value: strings.TrimPrefix(string(w.inventory(w.b).Datacenters[0].Ref), "Datacenter:")})
	v, _ := w.vm(w.b, vm)
	moved := 0
	for _, d := range v.Hardware.Disks {
		store, path, _ := strings.Cut(d.File, "] ")
		if !strings.HasPrefix(path, folder+"/") {
			continue
		}
		file := strings.Replace(d.File, store, "["+to, 1)
		w.must(w.b.c.Unplug(w.ctx, v.Ref, []string{d.File}))
		err := object.NewFileManager(gc.Client).MakeDirectory(w.ctx, "["+to+"] "+folder, dc, true)
		if err != nil && !strings.Contains(err.Error(), "AlreadyExists") {
			w.t.Fatal(err)
		}
		task, err := object.NewVirtualDiskManager(gc.Client).MoveVirtualDisk(w.ctx, d.File, dc, file, dc, false)
		w.must(err)
		w.must(task.Wait(w.ctx))
		if attach {
			_, err = w.b.c.Plug(w.ctx, v.Ref, []inventory.Plug{{File: file, UUID: d.UUID, Address: v.Hardware.Address(d)}})
			w.must(err)
		}
		moved++
	}
	if moved != 2 {
		w.t.Fatalf("%d disks of %s moved", moved, vm)
	}
}

// Its path is only where a disk was last seen. Every step of a failover finds it by its
// UUID, and nothing is left when the job is deleted.
func TestDisksThatWereMovedAreFound(t *testing.T) {
	w := failover(t, nil)
	first, second := w.b.sim.Datastores()[0], w.b.sim.Datastores()[1]
	paths := fmt.Sprint(w.paths())
	put(t, w.paths()[0], 1000, "kept")
	w.moveDisks("transporter", "web01-replica", second, true)
	w.step(api.VMBuild, true)
	w.moveDisks("transporter", "web01-replica-test-00test42", first, true)
	w.step(api.VMAttach, true)
	w.moveDisks("web01-replica-test-00test42", "web01-replica-test-00test42", second, false)
	w.step(api.VMRemove, true)

	w.step(api.VMAttach, false)
	w.moveDisks("web01-replica", "web01-replica", first, true)
	w.step(api.VMBoot, false)
	w.step(api.VMStop, false)
	if back := w.step(api.VMReturn, false); fmt.Sprint(back.Paths) != paths {
		t.Error(back.Paths, paths)
	}
	w.until("it is reconciled again", func() bool { return w.states()["web01"] == "ready" })
	w.moveDisks("transporter", "web01-replica", second, false)
	w.until("the detached disks are found", func() bool {
		v, _ := w.vm(w.b, "transporter")
		return len(v.Hardware.Disks) == 3
	})
	if got := get(t, w.paths()[0], 1000, 4); got != "kept" || !w.reported("disks of its replica were moved: ["+first+"]") {
		t.Errorf("the disk has %q", got)
	}
	w.moveDisks("transporter", "web01-replica", first, false)
	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
	if p := w.picture(w.b); strings.Contains(p, "replica") {
		t.Errorf("left:\n%s", p)
	}
}
