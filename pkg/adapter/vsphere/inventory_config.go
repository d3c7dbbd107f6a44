package vsphere

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/contract/inventory"
)

// knownConfigs are the configurations of VMs as they were last read. A configuration is
// most of what there is to say of a VM, and seldom changes: it is read again only if its
// change version is another one, so that a reading of a large vCenter stays small.
type knownConfigs struct {
	mu sync.Mutex
	by map[types.ManagedObjectReference]knownConfig
}

// knownConfig is a VM with what its configuration of this version says, and nothing else.
type knownConfig struct {
	version string
	read    time.Time
	vm      inventory.VM
}

// configFor is how long a configuration is believed, whatever its version: what a guest
// writes into its settings does not change the version everywhere.
const configFor = 10 * time.Minute

// configs are the VMs of an inventory with what their configurations say. Those whose
// configurations are not known are read whole and replaced in g, so that the state and
// the configuration of a VM are of one moment.
func (c *Client) configs(ctx context.Context, v *vim25.Client, g *gathered) (map[types.ManagedObjectReference]inventory.VM, error) {
	k := &c.known
	k.mu.Lock()
	was := k.by
	k.mu.Unlock()
	now := make(map[types.ManagedObjectReference]knownConfig, len(g.machines))
	var unknown []types.ManagedObjectReference
	for i := range g.machines {
		m := &g.machines[i]
		if m.Config == nil {
			continue // the vCenter cannot reach it
		}
		x, ok := was[m.Self]
		if ok && x.version == m.Config.ChangeVersion && x.version != "" && time.Since(x.read) < configFor {
			now[m.Self] = x
		} else {
			unknown = append(unknown, m.Self)
		}
	}
	read := map[types.ManagedObjectReference]mo.VirtualMachine{}
	for some := range slices.Chunk(unknown, page) {
		at := time.Now()
		objs, err := retrieve(ctx, v, some, "VirtualMachine", vmProperties)
		if err != nil {
			return nil, err
		}
		whole, err := gatherAll(objs)
		if err != nil {
			return nil, err
		}
		for _, m := range whole.machines {
			read[m.Self] = m
			if m.Config != nil {
				now[m.Self] = knownConfig{m.Config.ChangeVersion, at, configured(m.Config)}
			}
		}
	}
	for i := range g.machines {
		if m, ok := read[g.machines[i].Self]; ok {
			g.machines[i] = m
			g.add(m.Self, m.Name, parentOf(&m))
		}
	}
	k.mu.Lock()
	k.by = now
	k.mu.Unlock()
	out := make(map[types.ManagedObjectReference]inventory.VM, len(now))
	for ref, x := range now {
		x.vm.Hardware.NICs = slices.Clone(x.vm.Hardware.NICs) // they are given the names of networks
		out[ref] = x.vm
	}
	return out, nil
}
