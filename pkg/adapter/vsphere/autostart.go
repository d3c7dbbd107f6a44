package vsphere

import (
	"context"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// AutoStart is whether the VM's host starts it when the host starts. A host whose VMs are
// not started at all lists them nonetheless, and may be told to start them later.
func (c *Client) AutoStart(ctx context.Context, vm inventory.Ref) (inventory.AutoStart, error) {
	const op = "read the autostart settings of"
	var x inventory.AutoStart
	ref, err := vmRef(vm)
	if err != nil {
		return x, err
	}
	manager, err := c.autoStarter(ctx, op, ref)
	if err != nil || manager == nil {
		return x, err
	}
	var m mo.HostAutoStartManager
	err = c.do(ctx, op, ref.String(), func(ctx context.Context, v *vim25.Client) error {
		m = mo.HostAutoStartManager{}
		return property.DefaultCollector(v).RetrieveOne(ctx, *manager, []string{"config"}, &m)
	})
	for _, p := range m.Config.PowerInfo {
		if p.Key == ref {
			x = inventory.AutoStart{StartAction: p.StartAction, StartOrder: p.StartOrder, StartDelay: p.StartDelay,
				WaitForHeartbeat: string(p.WaitForHeartbeat), StopAction: p.StopAction, StopDelay: p.StopDelay}
		}
	}
	return x, err
}

// SetAutoStart changes that at the host that the VM is on now. A place in the order that
// the host does not have any more becomes any time. NotFound: the host starts no VMs.
func (c *Client) SetAutoStart(ctx context.Context, vm inventory.Ref, x inventory.AutoStart) error {
	const op = "change the autostart settings of"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	manager, err := c.autoStarter(ctx, op, ref)
	if err == nil && manager == nil {
		err = cdp.Errorf(cdp.NotFound, op, ref.String(), "its host does not start VMs by itself")
	}
	if err != nil {
		return err
	}
	set := func(order int32) error {
		info := types.AutoStartPowerInfo{Key: ref, StartAction: x.StartAction, StartOrder: order, StartDelay: x.StartDelay,
			WaitForHeartbeat: types.AutoStartWaitHeartbeatSetting(x.WaitForHeartbeat), StopAction: x.StopAction, StopDelay: x.StopDelay}
		return c.do(ctx, op, ref.String(), func(ctx context.Context, v *vim25.Client) error {
			_, err := methods.ReconfigureAutostart(ctx, v, &types.ReconfigureAutostart{This: *manager, Spec: types.HostAutoStartManagerConfig{PowerInfo: []types.AutoStartPowerInfo{info}}})
			return err
		})
	}
	if err = set(x.StartOrder); cdp.Is(err, cdp.Invalid) && x.StartOrder > 0 {
		err = set(-1)
	}
	return err
}

// autoStarter is what starts VMs on the VM's host; nil: there is none.
func (c *Client) autoStarter(ctx context.Context, op string, vm types.ManagedObjectReference) (*types.ManagedObjectReference, error) {
	h, err := c.hostOf(ctx, op, vm, "configManager.autoStartManager")
	return h.ConfigManager.AutoStartManager, err
}

// hostOf reads a property of the host that a VM is on. It is empty if the VM is on none.
func (c *Client) hostOf(ctx context.Context, op string, vm types.ManagedObjectReference, what string) (mo.HostSystem, error) {
	m, err := c.load(ctx, op, vm, "runtime.host")
	if err != nil || m.Runtime.Host == nil {
		return mo.HostSystem{}, err
	}
	var h mo.HostSystem
	err = c.do(ctx, op, vm.String(), func(ctx context.Context, v *vim25.Client) error {
		h = mo.HostSystem{}
		return property.DefaultCollector(v).RetrieveOne(ctx, *m.Runtime.Host, []string{what}, &h)
	})
	return h, err
}
