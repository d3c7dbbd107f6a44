package vsphere

import (
	"context"
	"fmt"
	"strings"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// namingHolders adds to err which VMs have the files, if that can be found out.
func (c *Client) namingHolders(ctx context.Context, op string, ref types.ManagedObjectReference, disks []inventory.Plug, err error) error {
	var who []string
	for _, p := range disks {
		for _, name := range c.holders(ctx, ref, p.File) {
			who = append(who, fmt.Sprintf("%s is attached to the VM %q", p.File, name))
		}
	}
	if len(who) == 0 {
		return err
	}
	return cdp.Errorf(cdp.Conflict, op, ref.String(), "%w; %s", err, strings.Join(who, "; ")).
		WithHint("detach it there first")
}

// holders are the names of the other VMs that have a file attached. It is best
// effort, for error texts only.
func (c *Client) holders(ctx context.Context, but types.ManagedObjectReference, file string) []string {
	const op = "look who has a disk attached"
	store, _, ok := inventory.SplitFile(file)
	if !ok {
		return nil
	}
	m, err := c.load(ctx, op, but, "runtime.host")
	if err != nil || m.Runtime.Host == nil {
		return nil
	}
	var names []string
	_ = c.do(ctx, op, file, func(ctx context.Context, v *vim25.Client) error {
		names = nil
		pc := property.DefaultCollector(v)
		var host mo.HostSystem
		if err := pc.RetrieveOne(ctx, *m.Runtime.Host, []string{"datastore"}, &host); err != nil || len(host.Datastore) == 0 {
			return err
		}
		var stores []mo.Datastore
		if err := pc.Retrieve(ctx, host.Datastore, []string{"name", "vm"}, &stores); err != nil {
			return err
		}
		for _, ds := range stores {
			if inventory.Unescape(ds.Name) != inventory.Unescape(store) || len(ds.Vm) == 0 {
				continue
			}
			var found []mo.VirtualMachine
			if err := pc.Retrieve(ctx, ds.Vm, []string{"name", "config.hardware.device"}, &found); err != nil {
				return err
			}
			for _, vm := range found {
				if vm.Self != but && vm.Config != nil && hasFile(vm.Config.Hardware.Device, file) {
					names = append(names, vm.Name)
				}
			}
		}
		return nil
	})
	return names
}

func hasFile(devices []types.BaseVirtualDevice, file string) bool {
	for _, d := range disksOf(devices) {
		for _, l := range linksOf(d) {
			if l.file == file {
				return true
			}
		}
	}
	return false
}
