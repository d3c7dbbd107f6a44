package main

import (
	"context"
	"fmt"
	"time"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/vms"
	"tidemark.dev/pkg/vsphere"
	"tidemark.dev/pkg/vsphere/vspheretest"
)

// furnisher puts VMs into a vCenter, as an administrator does: through its API.
type furnisher struct {
	c    *vsphere.Client
	site *vspheretest.Site
	inv  vms.Inventory
}

func newFurnisher(ctx context.Context, site *vspheretest.Site) (*furnisher, error) {
	c, err := vsphere.Dial(ctx, vsphere.Config{URL: site.URL(), Thumbprint: site.Thumbprint(), User: site.User(), Password: site.Password(), Agent: "lab"})
	if err != nil {
		return nil, err
	}
	inv, err := c.Inventory(ctx)
	if err == nil && (len(inv.Datacenters) == 0 || len(inv.Clusters) == 0 || len(inv.Datastores) == 0 || len(inv.Folders) == 0) {
		err = cdp.Errorf(cdp.Internal, "read inventory", site.Name(), "it lacks datacenter, cluster, datastore or folder: %+v", inv)
	}
	if err != nil {
		return nil, err
	}
	return &furnisher{c: c, site: site, inv: inv}, nil
}

func (f *furnisher) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = f.c.Close(ctx) // a session that was not logged out expires
}

func (f *furnisher) network(name string) (vms.Ref, error) {
	for _, n := range f.inv.Networks {
		if n.Name == name {
			return n.Ref, nil
		}
	}
	return "", cdp.Errorf(cdp.NotFound, "find network", name, "%s has no such network", f.site.Name())
}

// make makes a VM with one NIC and without disks.
func (f *furnisher) make(ctx context.Context, name, note string, extra map[string]string) (vms.Ref, error) {
	net, err := f.network("VM Network")
	if err != nil {
		return "", err
	}
	return f.c.MakeVM(ctx, vms.Make{
		Name: name, Note: note, Folder: f.inv.Folders[0].Ref, Pool: f.inv.Clusters[0].Pool, Host: f.inv.Clusters[0].Hosts[0], Datastore: f.inv.Datastores[0].Ref,
		Hardware: vms.Hardware{Version: "vmx-19", GuestID: "debian11_64Guest", CPUs: 2, MemoryMB: 512, Firmware: "bios",
			Controllers: []vms.Controller{{Key: 1000, Kind: "pvscsi", Sharing: "none"}},
			NICs:        []vms.NIC{{Key: 4000, Kind: "vmxnet3", Connected: true}}},
		Networks: map[int32]vms.Ref{4000: net},
		Extra:    extra,
	})
}

// guestVM makes a VM that a guest is installed on; it is off.
func (f *furnisher) guestVM(ctx context.Context, name string, im *guest.Images) (vms.Ref, error) {
	ref, err := f.make(ctx, name, "Debian with PostgreSQL; writes a ledger while it is on", nil)
	if err != nil {
		return "", err
	}
	var plugs []vms.Plug
	for i, d := range []struct {
		suffix, image string
		size          int64
	}{{"", im.Root, guest.RootBytes}, {"_1", im.Data, guest.DataBytes}} {
		file := fmt.Sprintf("[%s] %s/%s%s.vmdk", f.inv.Datastores[0].Name, name, name, d.suffix)
		if err := f.c.MakeDisk(ctx, f.inv.Datacenters[0].Ref, file, d.size); err != nil {
			return "", err
		}
		flat, err := f.site.FlatPath(file)
		if err != nil {
			return "", err
		}
		// Before the VM has it, nobody else looks into the file.
		if err := guest.CopySparse(ctx, d.image, flat); err != nil {
			return "", err
		}
		plugs = append(plugs, vms.Plug{File: file, Address: fmt.Sprintf("scsi0:%d", i)})
	}
	_, err = f.c.Plug(ctx, ref, plugs)
	return ref, err
}

// transporter makes the VM that stands for the machine Tidemark runs on; it is on.
func (f *furnisher) transporter(ctx context.Context, name string) error {
	ref, err := f.make(ctx, name, "Tidemark's transporter", map[string]string{noBoot: "no", "disk.EnableUUID": "TRUE"})
	if err != nil {
		return err
	}
	return f.c.PowerOn(ctx, ref)
}
