package vcsim_test

import (
	"testing"

	"tidemark.dev/pkg/adapter/vcsim"
)

func TestStartedAgain(t *testing.T) {
	cfg := vcsim.Config{Name: "again", Dir: t.TempDir()}
	s, err := vcsim.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, s)
	vm, ref := c.add(vcsim.VMSpec{
		Name: "x", Folder: "a/b", Host: "again-esx2", CPUs: 2, Disks: []vcsim.DiskSpec{{Size: mib}, {Size: mib, Datastore: "again-ds2"}},
		NICs: []vcsim.NICSpec{{Network: "isolated"}}, Extra: map[string]string{"guestinfo.k": "v"}, On: true,
	})
	c.write("x", ref.Disks[0].Key, 0, "kept")
	c.snapshot(vm, "lost")
	c.write("x", ref.Disks[0].Key, 0, "live")
	gone, _ := c.add(vcsim.VMSpec{Name: "gone"})
	c.must(gone.Destroy(c.ctx))
	thumb, instance := s.Thumbprint(), c.ServiceContent.About.InstanceUuid
	s.Close()

	d := newClient(t, vcsim.NewSite(t, cfg))
	if d.s.Thumbprint() != thumb || d.ServiceContent.About.InstanceUuid != instance {
		t.Error("it is another vCenter")
	}
	again, err := d.find.VirtualMachine(d.ctx, "a/b/x")
	d.ok(err)
	info, err := d.s.VM("x")
	d.ok(err)
	if info.UUID != ref.UUID || info.Host != "again-esx2" || len(info.Disks) != 2 || info.Disks[0].UUID != ref.Disks[0].UUID || info.Disks[0].File != ref.Disks[0].File {
		t.Errorf("%+v\n%+v", info, ref)
	}
	if got := d.guest("x", info.Disks[0].Key, 0, 4); got != "live" {
		t.Errorf("%q", got)
	}
	if l, err := d.find.VirtualMachineList(d.ctx, "*"); err != nil || len(l) != 1 {
		t.Errorf("%v, %v", l, err)
	}
	d.must(again.PowerOn(d.ctx))
	d.snapshot(again, "new")
}
