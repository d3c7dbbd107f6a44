package vsphere_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

func contractInventory(e *env) {
	e.vm("inv")
	inv, err := e.c.Inventory(e.ctx)
	e.must(err)
	about, err := e.c.About(e.ctx)
	e.must(err)
	if inv.About != about || about.Version == "" || about.UUID == "" {
		e.Errorf("about: %+v", about)
	}
	i := slices.IndexFunc(inv.VMs, func(v inventory.VM) bool { return v.Name == e.prefix+"-inv" })
	if i < 0 {
		e.Fatal("the VM is not in the inventory")
	}
	v := inv.VMs[i]
	if v.Path != e.folder.Path+"/"+v.Name || v.Host == "" || v.Power != "off" || v.State != "connected" || v.Hardware.CPUs != 1 || v.Hardware.MemoryMB != 64 {
		e.Errorf("the VM is %+v", v)
	}
	one, err := e.c.VM(e.ctx, v.UUID)
	e.must(err)
	if !reflect.DeepEqual(one, v) {
		e.Errorf("alone it is\n%+v, in the inventory\n%+v", one, v)
	}
	_, err = e.c.VM(e.ctx, "00000000-1111-2222-3333-444444444444")
	e.is(err, cdp.NotFound, "instance UUID")
	for _, h := range inv.Hosts {
		if !slices.ContainsFunc(inv.Clusters, func(c inventory.Cluster) bool { return c.Ref == h.Cluster && slices.Contains(c.Hosts, h.Ref) }) {
			e.Errorf("the host %s is of no cluster", h.Name)
		}
		if h.State == "connected" && h.Version == "" {
			e.Errorf("the host %s has no version", h.Name)
		}
	}
	for _, n := range inv.Networks {
		if strings.Contains(n.Name, "Uplinks") {
			e.Errorf("uplinks are no network: %s", n.Path)
		}
	}
}

// The simulator's VMs have things that a new one lacks.
func TestInventoryOfASite(t *testing.T) {
	e := target(t, vcsim.Config{})
	made, err := e.sim.AddVM(vcsim.VMSpec{
		Name: "web01", Folder: "prod/web", CPUs: 2, MemoryMB: 256, Firmware: "efi", SecureBoot: true, Annotation: "front", Version: "vmx-19",
		Disks: []vcsim.DiskSpec{{Size: 1 << 20}, {Size: 3 << 20, Controller: "nvme"}},
		NICs:  []vcsim.NICSpec{{MAC: "00:50:56:00:00:01"}, {Network: e.sim.Name() + "-dvpg", Kind: "e1000e"}},
		Tags:  []string{"tier/gold", "dept/web"}, CBT: true, On: true, Extra: map[string]string{"disk.EnableUUID": "TRUE"},
	})
	e.must(err)
	v, err := e.c.VM(e.ctx, made.UUID)
	e.must(err)
	h := v.Hardware
	if v.Name != "web01" || v.Path != e.folder.Path+"/prod/web/web01" {
		e.Errorf("name %q, path %q", v.Name, v.Path)
	}
	if v.Power != "on" || !v.Tracking || v.Note != "front" || !slices.Equal(v.Tags, []string{"dept/web", "tier/gold"}) {
		e.Errorf("the VM is %+v", v)
	}
	if h.Firmware != "efi" || !h.SecureBoot || h.Version != "vmx-19" || h.Extra["disk.EnableUUID"] != "TRUE" {
		e.Errorf("its hardware is %+v", h)
	}
	if len(h.Disks) != 2 || h.Disks[0].Size != 1<<20 || h.Disks[1].Size != 3<<20 || h.Address(h.Disks[0]) != "scsi0:0" || h.Address(h.Disks[1]) != "nvme0:0" {
		e.Errorf("its disks are %+v", h.Disks)
	}
	if len(h.NICs) != 2 || h.NICs[0].Kind != "vmxnet3" || h.NICs[0].MAC != "00:50:56:00:00:01" || h.NICs[1].Kind != "e1000e" || h.NICs[1].NetName != e.sim.Name()+"-dvpg" {
		e.Errorf("its NICs are %+v", h.NICs)
	}
	if _, err := e.c.Snapshot(e.ctx, v.Ref, "first", "note", false); err != nil {
		e.Fatal(err)
	}
	inv, err := e.c.Inventory(e.ctx)
	e.must(err)
	i := slices.IndexFunc(inv.VMs, func(v inventory.VM) bool { return v.UUID == made.UUID })
	if i < 0 || len(inv.VMs[i].Snapshots) != 1 || inv.VMs[i].Snapshots[0].Name != "first" {
		e.Errorf("in the inventory: %d %+v", i, inv.VMs)
	}
	if !slices.Equal(inv.VMs[i].Tags, v.Tags) || inv.VMs[i].Hardware.NICs[1].NetName != h.NICs[1].NetName {
		e.Errorf("in the inventory: %+v", inv.VMs[i])
	}
	// A VM on a host that is lost is still there.
	e.must(e.sim.FailHost(made.Host))
	inv, err = e.c.Inventory(e.ctx)
	e.must(err)
	if got := inv.VMs[i]; got.State != "disconnected" {
		e.Errorf("on a lost host it is %s", got.State)
	}
	if k := slices.IndexFunc(inv.Hosts, func(h inventory.Host) bool { return h.Name == made.Host }); inv.Hosts[k].State != "notResponding" {
		e.Errorf("the lost host is %+v", inv.Hosts[k])
	}
}

func TestInventoryOfAHost(t *testing.T) {
	e := target(t, vcsim.Config{ESX: true})
	other := target(t, vcsim.Config{ESX: true, Name: "other"})
	if e.inv.About.UUID == "" || e.inv.About.UUID == other.inv.About.UUID {
		t.Errorf("two hosts: %+v, %+v", e.inv.About, other.inv.About)
	}
	if !e.inv.About.ESX || len(e.inv.Hosts) != 1 || len(e.inv.Clusters) != 1 || e.inv.Clusters[0].Pool == "" {
		e.Errorf("%+v", e.inv)
	}
	_, err := e.c.Filters(e.ctx, e.cluster.Ref)
	e.is(err, cdp.Conflict, "vCenter")
}

// A failure to read tags is not taken for no tags.
func TestTagsMustBeRead(t *testing.T) {
	e := target(t, vcsim.Config{})
	made, err := e.sim.AddVM(vcsim.VMSpec{Name: "a", Tags: []string{"tier/gold"}})
	e.must(err)
	// The session of the REST API ends, and begins again.
	for range 2 {
		v, err := e.c.VM(e.ctx, made.UUID)
		e.must(err)
		if !slices.Equal(v.Tags, []string{"tier/gold"}) {
			t.Fatalf("tags %q", v.Tags)
		}
		names, err := e.c.Tags(e.ctx, "tier")
		e.must(err)
		if !slices.Equal(names, []string{"gold"}) {
			t.Fatalf("tags of tier: %q", names)
		}
		_, err = e.c.Tags(e.ctx, "teir")
		e.is(err, cdp.NotFound, `no tag category "teir"`)
		e.sim.ExpireSessions()
	}
}
