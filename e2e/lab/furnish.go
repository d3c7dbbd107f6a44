package main

import (
	"context"
	"strings"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/pkg/adapter/vcsim"
)

// Who the I/O filter is from, and what it is called in a job.
const (
	filterVendor  = "TDM"
	filterName    = "tidemark"
	filterVersion = "1.0.0"
)

// furnish makes a site what an administrator would: hosts with the I/O filter,
// the VM that Tidemark's transporter is, and VMs with guests. A vCenter that goes on has
// its VMs, and its hosts have lost the filter.
func (o vcenterFlags) furnish(ctx context.Context, h *hypervisor, site *vcsim.Site, bundle string) error {
	c, err := site.Client(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = c.Logout(ctx) // a session that was not logged out expires
	}()
	if o.filter {
		if err := installFilter(ctx, c, bundle); err != nil {
			return err
		}
	}
	if o.again {
		tm, err := site.VM(o.transporter())
		if err != nil {
			return err
		}
		return power(ctx, c, tm)
	}
	if err := o.addTransporter(ctx, c, site); err != nil {
		return err
	}
	for _, name := range o.vms {
		if err := o.addGuest(ctx, h, c, site, name); err != nil {
			return err
		}
	}
	return nil
}

// addGuest makes a VM with a guest, NAME or NAME:plain.
func (o vcenterFlags) addGuest(ctx context.Context, h *hypervisor, c *govmomi.Client, site *vcsim.Site, name string) error {
	name, kind, _ := strings.Cut(name, ":")
	what := "Debian with PostgreSQL; writes a ledger while it is on"
	if kind == "plain" {
		what = "Debian; writes a record while it is on"
	}
	vm, err := site.AddVM(vcsim.VMSpec{
		Name: name, Annotation: what, GuestID: "debian11_64Guest", Version: "vmx-19",
		CPUs: 2, MemoryMB: 512, Firmware: "bios", NICs: []vcsim.NICSpec{{}}, Tags: []string{"tier/gold"},
		Disks: []vcsim.DiskSpec{{Size: guest.RootBytes}, {Size: guest.DataBytes}},
	})
	if err != nil {
		return err
	}
	for i, image := range []string{h.images.Root, h.images.Data} {
		if err := guest.CopySparse(ctx, image, vm.Disks[i].Flat); err != nil {
			return err
		}
	}
	if kind == "plain" {
		if err := guest.MakePlain(ctx, vm.Disks[0].Flat); err != nil {
			return err
		}
	}
	if o.off {
		return nil
	}
	return power(ctx, c, vm)
}

// power powers a VM on.
func power(ctx context.Context, c *govmomi.Client, vm vcsim.VMRef) error {
	t, err := object.NewVirtualMachine(c.Client, vm.Ref).PowerOn(ctx)
	if err != nil {
		return err
	}
	return t.Wait(ctx)
}

// addTransporter makes the VM that disks are attached to while it runs.
func (o vcenterFlags) addTransporter(ctx context.Context, c *govmomi.Client, site *vcsim.Site) error {
	tm, err := site.AddVM(vcsim.VMSpec{Name: o.transporter(), Annotation: "Tidemark's transporter", Version: "vmx-19", NICs: []vcsim.NICSpec{{}},
		Extra: map[string]string{noBoot: "no", "disk.EnableUUID": "TRUE"}, On: true})
	if err != nil {
		return err
	}
	scsi := new(types.ParaVirtualSCSIController)
	scsi.Key, scsi.SharedBus = -1, types.VirtualSCSISharingNoSharing
	return object.NewVirtualMachine(c.Client, tm.Ref).AddDevice(ctx, scsi)
}

// installFilter installs the filter on all hosts. They take it in maintenance
// mode only, and nothing runs on them yet.
func installFilter(ctx context.Context, c *govmomi.Client, bundle string) error {
	f := find.NewFinder(c.Client)
	hosts, err := f.HostSystemList(ctx, "/...")
	if err != nil {
		return err
	}
	cluster, err := f.ClusterComputeResource(ctx, "/...")
	if err != nil {
		return err
	}
	wait := func(t *object.Task, err error) error {
		if err != nil {
			return err
		}
		return t.Wait(ctx)
	}
	for _, h := range hosts {
		if err := wait(h.EnterMaintenanceMode(ctx, 0, false, nil)); err != nil {
			return err
		}
	}
	r, err := methods.InstallIoFilter_Task(ctx, c.Client, &types.InstallIoFilter_Task{This: *c.ServiceContent.IoFilterManager, VibUrl: bundle, CompRes: cluster.Reference()})
	if err != nil {
		return err
	}
	if err := object.NewTask(c.Client, r.Returnval).Wait(ctx); err != nil {
		return err
	}
	for _, h := range hosts {
		if err := wait(h.ExitMaintenanceMode(ctx, 0)); err != nil {
			return err
		}
	}
	return nil
}
