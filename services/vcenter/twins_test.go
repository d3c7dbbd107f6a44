package vcenter_test

import (
	"bytes"
	"context"

	"strings"

	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// twin adds a VM whose disks have the UUIDs of another VM's, as a clone that the
// storage made.
func (w *world) twin(name string, of vcsim.VMRef) vcsim.VMRef {
	w.t.Helper()
	x := web(name)
	x.On = false
	made, err := w.a.sim.AddVM(x)
	w.must(err)
	v, err := w.a.c.VM(w.ctx, made.UUID)
	w.must(err)
	gc, err := w.a.sim.Client(w.ctx)
	w.must(err)
	defer func() { w.must(gc.Logout(context.WithoutCancel(w.ctx))) }()
	dc := types.ManagedObjectReference{Type: "Datacenter", Value: strings.TrimPrefix(string(w.inventory(w.a).Datacenters[0].Ref), "Datacenter:")}
	for i, d := range v.Hardware.Disks {
		w.must(w.a.c.Unplug(w.ctx, v.Ref, []string{d.File}))
		_, err := methods.SetVirtualDiskUuid(w.ctx, gc.Client, &types.SetVirtualDiskUuid{
			This: object.NewVirtualDiskManager(gc.Client).Reference(), Name: d.File, Datacenter: &dc, Uuid: of.Disks[i].UUID})
		w.must(err)
		_, err = w.a.c.Plug(w.ctx, v.Ref, []inventory.Plug{{File: d.File, UUID: of.Disks[i].UUID, Address: v.Hardware.Address(d)}})
		w.must(err)
	}
	made, err = w.a.sim.VM(name)
	w.must(err)
	return made
}

// frozen asks for a pass until it is done or refused.
func (w *world) frozen(g cdp.GroupID, src vcsim.VMRef, pass string) (api.FreezeReply, error) {
	var keys []int32
	for _, d := range src.Disks {
		keys = append(keys, d.Key)
	}
	for {
		r, err := ask[api.FreezeReply](w.ctx, w.a, api.VMFreeze, api.FreezeRequest{Group: g, VM: src.UUID, Keys: keys, Pass: pass})
		if err != nil || r.Done {
			return r, err
		}
	}
}

// Of VMs whose disks have the same UUIDs, only one can be protected, and a pass of one
// never takes the frozen disks of the other.
func TestDisksWithTheSameUUIDAreToldApart(t *testing.T) {
	w := newWorld(t)
	x := web("web01")
	x.On = false
	one, err := w.a.sim.AddVM(x)
	w.must(err)
	two := w.twin("web02", one)
	job := shop(w.b)
	if r := w.checked(job); len(r.Problems) != 4 || r.Problems[0].Rule != "twin" || !strings.Contains(told(r.Problems), "a disk of /a-dc/vm/prod/web02") {
		t.Errorf("both in one job: %+v", r.Problems)
	}
	job.Job.Source.VMs = []inventory.Selector{{Name: "web01"}}
	if r := w.checked(job); len(r.Problems) > 0 || len(r.Warnings) != 3 || !strings.Contains(told(r.Warnings), "do not protect both") {
		t.Errorf("one of them: %+v", r)
	}
	w.mu.Lock()
	for _, g := range []string{"shop-web01", "shop-web02"} {
		w.groups[g] = spec.ReplicationJob{Name: g}
	}
	w.mu.Unlock()
	w.must(w.a.sim.GuestWrite("web01", one.Disks[0].Key, 65536, bytes.Repeat([]byte{1}, 512)))
	w.must(w.a.sim.GuestWrite("web02", two.Disks[0].Key, 65536, bytes.Repeat([]byte{2}, 512)))
	f, err := w.frozen("shop-web01", one, "1")
	w.must(err)
	if _, err := w.frozen("shop-web02", two, "1"); !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "same UUID") {
		t.Error("a pass of the other at the same time:", err)
	}
	w.a.progress(api.VMThaw, api.ThawRequest{Group: "shop-web02", VM: two.UUID})
	if got := get(t, f.Disks[0].Path, 65536, 1); got != "\x01" {
		t.Errorf("the frozen disk of web01 has %q now", got)
	}
	w.a.progress(api.VMThaw, api.ThawRequest{Group: "shop-web01", VM: one.UUID})
	f, err = w.frozen("shop-web02", two, "2")
	w.must(err)
	if got := get(t, f.Disks[0].Path, 65536, 1); got != "\x02" {
		t.Errorf("the frozen disk of web02 has %q", got)
	}
	w.a.progress(api.VMThaw, api.ThawRequest{Group: "shop-web02", VM: two.UUID})
	if v, _ := w.vm(w.a, "transporter"); len(v.Hardware.Disks) != 1 {
		t.Errorf("left attached: %+v", v.Hardware.Disks)
	}
}
