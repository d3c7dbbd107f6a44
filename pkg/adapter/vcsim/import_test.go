package vcsim_test

import (
	"bytes"
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/ovf/importer"
	"tidemark.dev/pkg/adapter/vcsim"
)

func TestImportOVA(t *testing.T) {
	c := site(t, vcsim.Config{})
	content := bytes.Repeat([]byte{0}, 4*mib)
	copy(content[3*mib:], "the appliance")
	file := vcsim.OVA(t, vcsim.Appliance(t, content)...)
	ds, err := c.find.Datastore(c.ctx, "vc-ds2")
	c.ok(err)
	pool, err := c.find.DefaultResourcePool(c.ctx)
	c.ok(err)
	folder, err := c.find.DefaultFolder(c.ctx)
	c.ok(err)
	host, err := c.find.HostSystem(c.ctx, "vc-esx2")
	c.ok(err)
	imp := importer.Importer{
		Client: c.Client.Client, Finder: c.find, Sinker: nil, Log: func(string) (int, error) { return 0, nil },
		Datacenter: c.dc, Datastore: ds, ResourcePool: pool, Folder: folder, Host: host,
		Archive: &importer.TapeArchive{Path: file, Opener: importer.Opener{Client: c.Client.Client}},
	}
	name := "appl-1"
	ref, err := imp.Import(c.ctx, "transporter.ovf", importer.Options{
		Name: &name, NetworkMapping: []importer.Network{{Name: "front", Network: "DR Network"}},
		PropertyMapping: []importer.Property{{KeyValue: importer.KeyValue{Key: "guestinfo.site", Value: "paris"}}},
	})
	c.ok(err)
	vm := object.NewVirtualMachine(c.Client.Client, *ref)
	d := c.disks(vm)[0]
	if d.CapacityInBytes != 4*mib || !bytes.Equal(c.content(backing(d).FileName, 0, 4*mib), content) {
		t.Errorf("content of %s is not what was uploaded", backing(d).FileName)
	}
	info, err := c.s.VM(name)
	c.ok(err)
	if info.Host != "vc-esx2" {
		t.Errorf("on %s", info.Host)
	}
	m := c.props(vm, "config.extraConfig", "network", "config.hardware")
	found := false
	for _, o := range m.Config.ExtraConfig {
		kv := o.GetOptionValue()
		found = found || kv.Key == "guestinfo.site" && kv.Value == "paris"
	}
	if !found || len(m.Network) != 1 || m.Config.Hardware.NumCPU != 2 {
		t.Errorf("guestinfo %v, networks %v, %d CPUs", found, m.Network, m.Config.Hardware.NumCPU)
	}
	c.must(vm.PowerOn(c.ctx))
}
