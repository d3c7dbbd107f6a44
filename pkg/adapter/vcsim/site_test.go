package vcsim_test

import (
	"crypto/tls"
	"net/url"
	"strings"
	"testing"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"tidemark.dev/pkg/adapter/vcsim"
)

func TestInventory(t *testing.T) {
	c := site(t, vcsim.Config{Name: "prod"})
	hosts, err := c.find.HostSystemList(c.ctx, "*")
	c.ok(err)
	if len(hosts) != 2 || hosts[0].Name() != "prod-esx1" && hosts[1].Name() != "prod-esx1" {
		t.Errorf("hosts: %v", hosts)
	}
	for _, n := range []string{"VM Network", "DR Network", "isolated", "prod-dvpg"} {
		if _, err := c.find.Network(c.ctx, n); err != nil {
			t.Error(err)
		}
	}
	ds, err := c.find.DatastoreList(c.ctx, "*")
	c.ok(err)
	if len(ds) != 2 {
		t.Errorf("datastores: %v", ds)
	}
	vm, ref := c.add(vcsim.VMSpec{
		Name: "db", Folder: "prod/sql", Disks: []vcsim.DiskSpec{{Size: 64 * mib}, {Size: 32 * mib, Datastore: "prod-ds2"}},
		NICs: []vcsim.NICSpec{{}, {Network: "prod-dvpg", Kind: "e1000e"}}, Extra: map[string]string{"guestinfo.a": "b"},
		Tags: []string{"tier/gold"}, Firmware: "efi", SecureBoot: true, On: true,
	})
	m := c.props(vm, "config", "runtime", "name")
	if m.Config.Firmware != "efi" || m.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		t.Errorf("%+v", m.Runtime)
	}
	if l, err := c.find.VirtualMachine(c.ctx, "prod/sql/db"); err != nil {
		t.Error(l, err)
	}
	d := c.disks(vm)
	if len(d) != 2 || d[0].CapacityInBytes != 64*mib || !strings.HasPrefix(backing(d[0]).Uuid, "6000C29") {
		t.Errorf("disks: %d %d %s", len(d), d[0].CapacityInBytes, backing(d[0]).Uuid)
	}
	if len(ref.Disks) != 2 || len(c.content(ref.Disks[1].File, 32*mib-1, 1)) != 1 {
		t.Errorf("%+v", ref)
	}
}

func TestTwoSitesDiffer(t *testing.T) {
	a, b := site(t, vcsim.Config{Name: "a"}), newClient(t, vcsim.NewSite(t, vcsim.Config{Name: "b"}))
	if a.ServiceContent.About.InstanceUuid == b.ServiceContent.About.InstanceUuid {
		t.Error("same instance UUID")
	}
	if a.s.Thumbprint() == b.s.Thumbprint() || len(a.s.Thumbprint()) != 95 {
		t.Error(a.s.Thumbprint())
	}
	_, va := a.add(vcsim.VMSpec{Name: "x", Disks: []vcsim.DiskSpec{{Size: mib}}})
	_, vb := b.add(vcsim.VMSpec{Name: "x", Disks: []vcsim.DiskSpec{{Size: mib}}})
	if va.UUID == vb.UUID || va.Disks[0].UUID == vb.Disks[0].UUID {
		t.Error("same UUIDs")
	}
	// The thumbprint is what govmomi computes.
	u, _ := url.Parse(a.s.URL())
	conn, err := tls.Dial("tcp", u.Host, &tls.Config{InsecureSkipVerify: true})
	a.ok(err)
	defer conn.Close()
	var info object.HostCertificateInfo
	info.FromCertificate(conn.ConnectionState().PeerCertificates[0])
	if info.ThumbprintSHA256 != a.s.Thumbprint() {
		t.Error(info.ThumbprintSHA256, a.s.Thumbprint())
	}
}

func TestLogin(t *testing.T) {
	c := site(t, vcsim.Config{})
	u, _ := url.Parse(c.s.URL())
	u.User = url.UserPassword(c.s.User(), "wrong")
	if _, err := govmomi.NewClient(c.ctx, u, true); !fault.Is(err, &types.InvalidLogin{}) {
		t.Errorf("wrong password: %v", err)
	}
	if _, err := govmomi.NewClient(c.ctx, u, false); err == nil || !soap.IsCertificateUntrusted(err) {
		t.Errorf("untrusted certificate: %v", err)
	}
}

func TestESX(t *testing.T) {
	c := site(t, vcsim.Config{Name: "edge", ESX: true})
	if c.ServiceContent.IoFilterManager != nil || c.IsVC() {
		t.Error("an ESXi host has an IoFilterManager")
	}
	vm, _ := c.add(vcsim.VMSpec{Name: "x", Disks: []vcsim.DiskSpec{{Size: mib}}, NICs: []vcsim.NICSpec{{}}})
	c.must(vm.PowerOn(c.ctx))
	h, err := c.find.DefaultHostSystem(c.ctx)
	c.ok(err)
	var m mo.HostSystem
	c.ok(h.Properties(c.ctx, h.Reference(), []string{"name", "datastore"}, &m))
	if m.Name != "edge-esx1" || len(m.Datastore) != 2 {
		t.Errorf("%+v", m)
	}
}
