package vcenter_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/services/vcenter"
)

// awayVM is a vCenter with a second datacenter that has one of the VMs.
type awayVM struct {
	vcenter.VCenter
	name string
}

const otherDC inventory.Ref = "Datacenter:other"

func (a awayVM) move(v *inventory.VM) {
	if v.Name == a.name {
		v.Path = "/other/vm/prod/" + v.Name
	}
}

func (a awayVM) Inventory(ctx context.Context) (inventory.Inventory, error) {
	inv, err := a.VCenter.Inventory(ctx)
	inv.Datacenters = append(inv.Datacenters, inventory.Place{Ref: otherDC, Name: "other", Path: "/other"})
	for i := range inv.VMs {
		a.move(&inv.VMs[i])
	}
	return inv, err
}

func (a awayVM) VM(ctx context.Context, uuid string) (inventory.VM, error) {
	v, err := a.VCenter.VM(ctx, uuid)
	a.move(&v)
	return v, err
}

// The path of its disks means other disks in the transporter's datacenter, or none.
func TestAVMInAnotherDatacenterThanTheTransporterIsNotRead(t *testing.T) {
	w := newWorld(t)
	src, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	w.a.stop()
	w.a.vc = awayVM{w.a.c, "web01"}
	w.a.start()
	before := w.picture(w.a)
	job := shop(w.b)
	job.Job.Source.VMs = []inventory.Selector{{Name: "web01"}}
	if r := w.checked(job); !strings.Contains(told(r.Problems), "another datacenter (/other/vm/prod/web01) than the transporter") {
		t.Errorf("%+v", r.Problems)
	}
	if _, err := w.frozen("shop-web01", src, "1"); !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "another datacenter") {
		t.Error("a pass:", err)
	}
	if after := w.picture(w.a); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// twoDatacenters is a vCenter with a second datacenter, whose path comes first, with a
// datastore of the same name, and a disk of another VM at the path of the replica's.
type twoDatacenters struct {
	vcenter.VCenter
	store, precious string

	mu    sync.Mutex
	calls []string // in the second one
}

func (v *twoDatacenters) Inventory(ctx context.Context) (inventory.Inventory, error) {
	inv, err := v.VCenter.Inventory(ctx)
	inv.Datacenters = append([]inventory.Place{{Ref: otherDC, Name: "a-first", Path: "/a-first"}}, inv.Datacenters...)
	inv.Datastores = append([]inventory.Datastore{{Place: inventory.Place{Ref: "Datastore:other", Name: v.store, Path: "/a-first/datastore/" + v.store},
		Kind: "VMFS", Capacity: 1, Free: 1, Accessible: true, Hosts: []inventory.Ref{"HostSystem:other"}}}, inv.Datastores...)
	other := inventory.VM{Place: inventory.Place{Ref: "VirtualMachine:other", Name: "erp", Path: "/a-first/vm/erp"}, UUID: "erp"}
	other.Hardware.Disks = []inventory.Disk{{File: v.precious, UUID: "6000C290-0000-0000-0000-000000000001"}}
	inv.VMs = append(inv.VMs, other)
	return inv, err
}

func (v *twoDatacenters) there(dc inventory.Ref, call, file string) error {
	if dc != otherDC {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls = append(v.calls, call+" "+file)
	return cdp.Errorf(cdp.Internal, call, file, "it is in another datacenter")
}

func (v *twoDatacenters) MakeDisk(ctx context.Context, dc inventory.Ref, file string, size int64) error {
	if err := v.there(dc, "make", file); err != nil {
		return err
	}
	return v.VCenter.MakeDisk(ctx, dc, file, size)
}

func (v *twoDatacenters) DeleteDisk(ctx context.Context, dc inventory.Ref, file, uuid string) error {
	if err := v.there(dc, "delete", file); err != nil {
		return err
	}
	return v.VCenter.DeleteDisk(ctx, dc, file, uuid)
}

func (v *twoDatacenters) DiskSize(ctx context.Context, dc inventory.Ref, file string) (int64, error) {
	if err := v.there(dc, "look up", file); err != nil {
		return 0, err
	}
	return v.VCenter.DiskSize(ctx, dc, file)
}

// Names of datastores are unique in a datacenter only.
func TestFilesAreThoseOfTheReplicasDatacenter(t *testing.T) {
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	before := w.picture(w.b)
	ds := w.inventory(w.b).Datastores[0]
	two := &twoDatacenters{VCenter: w.b.c, store: ds.Name, precious: fmt.Sprintf("[%s] web01-replica/web01-replica-scsi0-0.vmdk", ds.Name)}
	w.b.stop()
	w.b.vc = two
	w.b.start()
	job := shop(w.b)
	if r := w.checked(job); len(r.Problems) != 1 || !strings.Contains(told(r.Problems), "give the path") {
		t.Errorf("a name in two datacenters: %+v", r.Problems)
	}
	job.Target.Datastore = ds.Path
	if r := w.checked(job); len(r.Problems) > 0 {
		t.Errorf("%+v", r.Problems)
	}
	w.apply(job)
	w.until("web01 is ready", func() bool { return w.states()["web01"] == "ready" })
	w.step(api.VMBuild, true)
	w.step(api.VMAttach, true)
	w.step(api.VMRemove, true)
	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
	if after := w.picture(w.b); after != before {
		t.Errorf("before:\n%s\nleft:\n%s", before, after)
	}
	if len(two.calls) > 0 {
		t.Error("in the other datacenter:", two.calls)
	}
}
