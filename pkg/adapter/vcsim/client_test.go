package vcsim_test

import (
	"context"
	"io"
	"log"
	"os"
	"testing"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"tidemark.dev/pkg/adapter/vcsim"
)

const mib = 1 << 20

// TestMain silences the simulator's log.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

// client is a plain govmomi client of a site.
type client struct {
	t   *testing.T
	ctx context.Context
	s   *vcsim.Site
	*govmomi.Client
	find *find.Finder
	dc   *object.Datacenter
}

func newClient(t *testing.T, s *vcsim.Site) *client {
	t.Helper()
	ctx := t.Context()
	c, err := s.Client(ctx)
	if err != nil {
		t.Fatal(err)
	}
	f := find.NewFinder(c.Client)
	dc, err := f.DefaultDatacenter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	f.SetDatacenter(dc)
	return &client{t, ctx, s, c, f, dc}
}

// site is a site with a client.
func site(t *testing.T, cfg vcsim.Config) *client {
	t.Helper()
	t.Parallel()
	return newClient(t, vcsim.NewSite(t, cfg))
}

func (c *client) add(spec vcsim.VMSpec) (*object.VirtualMachine, vcsim.VMRef) {
	c.t.Helper()
	ref, err := c.s.AddVM(spec)
	if err != nil {
		c.t.Fatal(err)
	}
	return object.NewVirtualMachine(c.Client.Client, ref.Ref), ref
}

// must waits for a task that has to succeed.
func (c *client) must(t *object.Task, err error) types.AnyType {
	c.t.Helper()
	if err == nil {
		var info *types.TaskInfo
		if info, err = t.WaitForResult(c.ctx); err == nil {
			return info.Result
		}
	}
	c.t.Fatal(err)
	return nil
}

func (c *client) ok(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) disks(vm *object.VirtualMachine) []*types.VirtualDisk {
	c.t.Helper()
	l, err := vm.Device(c.ctx)
	c.ok(err)
	var r []*types.VirtualDisk
	for _, d := range l.SelectByType((*types.VirtualDisk)(nil)) {
		r = append(r, d.(*types.VirtualDisk))
	}
	return r
}

func backing(d *types.VirtualDisk) *types.VirtualDiskFlatVer2BackingInfo {
	return d.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
}

// attach HotAdds a file and gives the device as the VM shows it.
func (c *client) attach(vm *object.VirtualMachine, file string, mode types.VirtualDiskMode) (*types.VirtualDisk, error) {
	c.t.Helper()
	l, err := vm.Device(c.ctx)
	c.ok(err)
	ctl, err := l.FindDiskController("")
	if err != nil {
		return nil, err
	}
	d := l.CreateDisk(ctl, types.ManagedObjectReference{}, file)
	backing(d).DiskMode = string(mode)
	if err = vm.AddDevice(c.ctx, d); err != nil {
		return nil, err
	}
	for _, x := range c.disks(vm) {
		if backing(x).FileName == file {
			return x, nil
		}
	}
	c.t.Fatalf("%s was attached and is not shown", file)
	return nil, nil
}

func (c *client) props(vm *object.VirtualMachine, names ...string) mo.VirtualMachine {
	c.t.Helper()
	var m mo.VirtualMachine
	c.ok(vm.Properties(c.ctx, vm.Reference(), names, &m))
	return m
}

func (c *client) snapshot(vm *object.VirtualMachine, name string) types.ManagedObjectReference {
	c.t.Helper()
	return c.must(vm.CreateSnapshot(c.ctx, name, "", false, false)).(types.ManagedObjectReference)
}

// snapDisk is a snapshot's view of the VM's first disk, or of the one with key.
func (c *client) snapDisk(snap types.ManagedObjectReference, key int32) *types.VirtualDisk {
	c.t.Helper()
	var m mo.VirtualMachineSnapshot
	c.ok(c.RetrieveOne(c.ctx, snap, []string{"config.hardware.device"}, &m))
	for _, d := range m.Config.Hardware.Device {
		if x, ok := d.(*types.VirtualDisk); ok && (key == 0 || x.Key == key) {
			return x
		}
	}
	c.t.Fatal("snapshot has no such disk")
	return nil
}

func (c *client) content(file string, off int64, n int) []byte {
	c.t.Helper()
	p, err := c.s.FlatPath(file)
	c.ok(err)
	f, err := os.Open(p)
	c.ok(err)
	defer f.Close()
	b := make([]byte, n)
	_, err = f.ReadAt(b, off)
	c.ok(err)
	return b
}
