package vcsim

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// toggle is a filter being attached to a disk or detached from it.
type toggle struct {
	key    int32
	filter string
	params map[string]string
	on     bool
}

func toggles(key int32, had []string, f filter) []toggle {
	var l []toggle
	for _, id := range had {
		if !slices.Contains(f.ids, id) {
			l = append(l, toggle{key: key, filter: id})
		}
	}
	for _, id := range f.ids {
		if !slices.Contains(had, id) {
			l = append(l, toggle{key, id, f.params[id], true})
		}
	}
	return l
}

// planFilters computes which filters a device change gives to a disk: by a storage
// policy, or by an independent filter spec.
func (s *Site) planFilters(ctx *simulator.Context, p *diskPlan, host types.ManagedObjectReference, i int, c *types.VirtualDeviceConfigSpec, d *types.VirtualDisk) fault {
	want := filter{params: map[string]map[string]string{}}
	set := false
	for _, prof := range c.Profile {
		set = true
		if x, ok := prof.(*types.VirtualMachineDefinedProfileSpec); ok {
			s.mu.Lock()
			id, known := s.policies[x.ProfileId]
			s.mu.Unlock()
			if known {
				want.ids = append(want.ids, id)
			}
		}
	}
	for _, fs := range c.FilterSpec {
		set = true
		if x, ok := fs.(*types.VirtualMachineIndependentFilterSpec); ok {
			kv := map[string]string{}
			for _, k := range x.FilterCapabilities {
				kv[k.Key] = k.Value
			}
			want.ids = append(want.ids, x.FilterName)
			want.params[x.FilterName] = kv
		}
	}
	b := flat(d)
	if !set || b == nil {
		return nil
	}
	for n, name := range want.ids {
		id, usable := s.findFilter(ctx, host, name)
		if !usable {
			return specFault(i, "filterSpec")
		}
		want.ids[n], want.params[id] = id, want.params[name]
	}
	if c.Operation == types.VirtualDeviceConfigSpecOperationEdit {
		p.edited[d.Key] = want
	} else {
		p.filters[b.Uuid] = want
	}
	return nil
}

func (s *Site) findFilter(ctx *simulator.Context, host types.ManagedObjectReference, name string) (string, bool) {
	h, ok := ctx.Map.Get(host).(*simulator.HostSystem)
	if !ok || s.iof == nil {
		return name, false
	}
	return s.iof.find(*h.Parent, host, name)
}

func (s *Site) filterUsable(ctx *simulator.Context, host types.ManagedObjectReference, id string) bool {
	_, ok := s.findFilter(ctx, host, id)
	return ok
}

// tellFilters stores parameters and calls the hook for each change.
func (s *Site) tellFilters(ctx *simulator.Context, vm *simulator.VirtualMachine, v *vmState, changed []toggle) {
	for _, t := range changed {
		s.mu.Lock()
		if t.on {
			v.params[paramKey(t.key, t.filter)] = t.params
		} else {
			delete(v.params, paramKey(t.key, t.filter))
		}
		s.mu.Unlock()
		if s.cfg.OnFilter != nil {
			s.cfg.OnFilter(s.event(ctx, vm, v, v.on), t.key, t.filter, t.params, t.on)
		}
	}
}

// startFilters calls the hook for the filters of a VM that has just started.
func (s *Site) startFilters(ctx *simulator.Context, vm *simulator.VirtualMachine, v *vmState) {
	if s.cfg.OnFilter == nil {
		return
	}
	ev := s.event(ctx, vm, v, true)
	for _, d := range v.disks {
		for _, id := range d.filters {
			s.mu.Lock()
			params := v.params[paramKey(d.key, id)]
			s.mu.Unlock()
			s.cfg.OnFilter(ev, d.key, id, params, true)
		}
	}
}
