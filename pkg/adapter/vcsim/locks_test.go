package vcsim_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
	"tidemark.dev/pkg/adapter/vcsim"
)

// device is the path of an attached disk's block device.
func device(s *vcsim.Site, vm, id string) string {
	return filepath.Join(s.Config().Devices, vm, "wwn-0x"+strings.ToLower(strings.ReplaceAll(id, "-", "")))
}

func TestHotAdd(t *testing.T) {
	c := site(t, vcsim.Config{})
	appl, _ := c.add(vcsim.VMSpec{Name: "transporter", Disks: []vcsim.DiskSpec{{Size: mib}}, On: true})
	dm := object.NewVirtualDiskManager(c.Client.Client)
	fm := object.NewFileManager(c.Client.Client)
	c.ok(fm.MakeDirectory(c.ctx, "[vc-ds1] replica", c.dc, true))
	file := "[vc-ds1] replica/d0.vmdk"
	c.must(dm.CreateVirtualDisk(c.ctx, file, c.dc, &types.FileBackedVirtualDiskSpec{
		VirtualDiskSpec: types.VirtualDiskSpec{AdapterType: "lsiLogic", DiskType: "thin"}, CapacityKb: 8 << 10,
	}))
	d, err := c.attach(appl, file, types.VirtualDiskModePersistent)
	c.ok(err)
	if d.CapacityInBytes != 8*mib {
		t.Errorf("capacity %d", d.CapacityInBytes)
	}
	id := backing(d).Uuid
	dev := device(c.s, "transporter", id)
	c.ok(os.WriteFile(filepath.Join(t.TempDir(), "x"), nil, 0o600))
	f, err := os.OpenFile(dev, os.O_RDWR, 0)
	c.ok(err)
	_, err = f.WriteAt([]byte("hello"), mib)
	c.ok(err)
	c.ok(f.Close())
	if got := c.content(file, mib, 5); string(got) != "hello" {
		t.Errorf("%q", got)
	}
	if p, _ := os.Readlink(dev); !strings.HasSuffix(p, "d0-flat.vmdk") {
		t.Errorf("device is %s", p)
	}

	// It is locked against every other VM that is on, not against a VM that is off.
	other, _ := c.add(vcsim.VMSpec{Name: "other", Disks: []vcsim.DiskSpec{{Size: mib}}, On: true})
	if _, err = c.attach(other, file, types.VirtualDiskModePersistent); !fault.Is(err, &types.FileLocked{}) {
		t.Errorf("second writer: %v", err)
	}
	replica, _ := c.add(vcsim.VMSpec{Name: "replica", Disks: []vcsim.DiskSpec{{Size: mib}}})
	_, err = c.attach(replica, file, types.VirtualDiskModePersistent)
	c.ok(err)
	task, err := replica.PowerOn(c.ctx)
	c.ok(err)
	if err = task.Wait(c.ctx); !fault.Is(err, &types.FileLocked{}) {
		t.Errorf("power-on: %v", err)
	}
	if task, err = dm.DeleteVirtualDisk(c.ctx, file, c.dc); err == nil {
		err = task.Wait(c.ctx)
	}
	if !fault.Is(err, &types.FileLocked{}) {
		t.Errorf("delete: %v", err)
	}
	c.ok(appl.RemoveDevice(c.ctx, true, d))
	if _, err = os.Lstat(dev); !os.IsNotExist(err) {
		t.Errorf("the device is still there: %v", err)
	}
	c.must(replica.PowerOn(c.ctx))
	for _, x := range c.disks(replica) {
		if backing(x).FileName == file && backing(x).Uuid != id {
			t.Errorf("UUID changed: %s, %s", backing(x).Uuid, id)
		}
	}
}

func TestDestroyTakesAttachedDisksOnly(t *testing.T) {
	c := site(t, vcsim.Config{})
	vm, ref := c.add(vcsim.VMSpec{Name: "x", Disks: []vcsim.DiskSpec{{Size: mib}, {Size: mib}}})
	c.ok(vm.RemoveDevice(c.ctx, true, c.disks(vm)[1])) // stays in the VM's directory
	foreign, fref := c.add(vcsim.VMSpec{Name: "foreign", Disks: []vcsim.DiskSpec{{Size: mib}}})
	_ = foreign
	_, err := c.attach(vm, fref.Disks[0].File, types.VirtualDiskModePersistent)
	c.ok(err)
	c.must(vm.Destroy(c.ctx))
	if got := c.s.Files("vc-ds1"); !strings.Contains(strings.Join(got, " "), "x/x_1-flat.vmdk") || strings.Contains(strings.Join(got, " "), "x/x.vmdk") {
		t.Errorf("left: %v", got)
	}
	for _, f := range []string{ref.Disks[0].File, fref.Disks[0].File} {
		if _, err := c.s.FlatPath(f); err == nil {
			t.Errorf("%s survived", f)
		}
	}
	if _, err := c.s.FlatPath(ref.Disks[1].File); err != nil {
		t.Error(err)
	}
}

func TestCopyAndExtend(t *testing.T) {
	c := site(t, vcsim.Config{})
	vm, ref := c.add(vcsim.VMSpec{Name: "x", Disks: []vcsim.DiskSpec{{Size: 4 * mib}}})
	c.ok(c.s.GuestWrite("x", ref.Disks[0].Key, 4*mib-4, []byte("tail")))
	dm := object.NewVirtualDiskManager(c.Client.Client)
	to := "[vc-ds2] copy.vmdk"
	c.must(dm.CopyVirtualDisk(c.ctx, ref.Disks[0].File, c.dc, to, c.dc, &types.FileBackedVirtualDiskSpec{
		VirtualDiskSpec: types.VirtualDiskSpec{AdapterType: "lsiLogic", DiskType: "thin"},
	}, false))
	if got := c.content(to, 4*mib-4, 4); string(got) != "tail" {
		t.Errorf("%q", got)
	}
	ids := map[string]bool{}
	for _, f := range []string{to, ref.Disks[0].File} {
		id, err := dm.QueryVirtualDiskUuid(c.ctx, f, c.dc)
		c.ok(err)
		ids[id] = true
	}
	if len(ids) != 2 {
		t.Errorf("a copy has its source's UUID: %v", ids)
	}
	d := c.disks(vm)[0]
	d.CapacityInBytes, d.CapacityInKB = 8*mib, 8<<10
	c.ok(vm.EditDevice(c.ctx, d))
	if got := c.disks(vm)[0].CapacityInBytes; got != 8*mib {
		t.Errorf("capacity %d", got)
	}
	if got := c.content(ref.Disks[0].File, 4*mib-4, 8); !bytes.Equal(got, []byte("tail\x00\x00\x00\x00")) {
		t.Errorf("%q", got)
	}
	c.content(ref.Disks[0].File, 8*mib-1, 1)
}
