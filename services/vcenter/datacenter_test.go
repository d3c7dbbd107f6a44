package vcenter_test

import (
	"context"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
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
