package vsphere

import (
	"cmp"
	"context"
	"slices"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// clusterPriority is the restart priority of a VM's setting that leaves it to the cluster.
const clusterPriority = string(types.ClusterDasVmSettingsRestartPriorityClusterRestartPriority)

// HARestart is whether vSphere HA of the VM's cluster restarts it. A VM that is in no
// cluster, or in one without HA, is not restarted.
func (c *Client) HARestart(ctx context.Context, vm inventory.Ref) (inventory.HARestart, error) {
	ref, err := vmRef(vm)
	if err != nil {
		return inventory.HARestart{}, err
	}
	_, x, err := c.haOf(ctx, "read the HA settings of", ref)
	return x, err
}

// SetHARestart gives the VM a restart priority of its own in its cluster, or takes that
// away. What else the cluster's setting for the VM says stays. NotFound: it is in no
// cluster.
func (c *Client) SetHARestart(ctx context.Context, vm inventory.Ref, want inventory.HARestart) error {
	const op = "change the HA settings of"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	cluster, now, err := c.haOf(ctx, op, ref)
	switch {
	case err != nil:
		return err
	case cluster == nil:
		return cdp.Errorf(cdp.NotFound, op, ref.String(), "its host is in no cluster")
	case now.Override == want.Override && now.Priority == want.Priority:
		return nil
	}
	change := types.ClusterDasVmConfigSpec{ArrayUpdateSpec: types.ArrayUpdateSpec{Operation: types.ArrayUpdateOperationRemove, RemoveKey: ref}}
	if want.Override {
		change.ArrayUpdateSpec = types.ArrayUpdateSpec{Operation: types.ArrayUpdateOperationAdd}
		if now.Override {
			change.Operation = types.ArrayUpdateOperationEdit
		}
		change.Info = &types.ClusterDasVmConfigInfo{Key: ref, DasSettings: &types.ClusterDasVmSettings{RestartPriority: want.Priority}}
	}
	_, err = c.task(ctx, op, ref.String(), func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		return object.NewComputeResource(v, *cluster).Reconfigure(ctx, &types.ClusterConfigSpecEx{DasVmConfigSpec: []types.ClusterDasVmConfigSpec{change}}, true)
	})
	return err
}

// haOf is the cluster of a VM's host, nil if it has none, and how its HA treats the VM.
func (c *Client) haOf(ctx context.Context, op string, vm types.ManagedObjectReference) (*types.ManagedObjectReference, inventory.HARestart, error) {
	var x inventory.HARestart
	h, err := c.hostOf(ctx, op, vm, "parent")
	if err != nil || h.Parent == nil || h.Parent.Type != "ClusterComputeResource" {
		return nil, x, err
	}
	var cl mo.ClusterComputeResource
	err = c.do(ctx, op, vm.String(), func(ctx context.Context, v *vim25.Client) error {
		cl = mo.ClusterComputeResource{}
		return property.DefaultCollector(v).RetrieveOne(ctx, *h.Parent, []string{"configurationEx"}, &cl)
	})
	cfg, ok := cl.ConfigurationEx.(*types.ClusterConfigInfoEx)
	if err != nil || !ok {
		return nil, x, err
	}
	own := ""
	if i := slices.IndexFunc(cfg.DasVmConfig, func(d types.ClusterDasVmConfigInfo) bool { return d.Key == vm }); i >= 0 {
		x.Override = true
		if s := cfg.DasVmConfig[i].DasSettings; s != nil {
			own = s.RestartPriority
		}
		x.Priority = cmp.Or(own, clusterPriority)
	}
	effective := own
	if own == "" || own == clusterPriority {
		effective = ""
		if d := cfg.DasConfig.DefaultVmSettings; d != nil {
			effective = d.RestartPriority
		}
	}
	x.Restarts = isTrue(cfg.DasConfig.Enabled) && effective != inventory.HADisabled
	return h.Parent, x, nil
}
