package vcsim

import (
	"os"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

type snapshotMethods struct{ target }

func (m *snapshotMethods) RemoveSnapshotTask(ctx *simulator.Context, req *types.RemoveSnapshot_Task) soap.HasFault {
	sn, vm := snapshotOf(ctx, req.This)
	if vm == nil {
		return &methods.RemoveSnapshot_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, vm.Self, "removeSnapshot", func() (result, fault) {
		var f fault
		ctx.WithLock(vm, func() {
			gone := []types.ManagedObjectReference{sn.Self}
			if req.RemoveChildren {
				if t := findTree(vm.Snapshot, sn.Self); t != nil {
					gone = append(gone, treeRefs(t.ChildSnapshotList)...)
				}
			}
			f = m.s.removeSnapshots(ctx, vm, gone)
		})
		return nil, f
	})
	return &methods.RemoveSnapshot_TaskBody{Res: &types.RemoveSnapshot_TaskResponse{Returnval: ref}}
}

func (m *vmMethods) RemoveAllSnapshotsTask(ctx *simulator.Context, req *types.RemoveAllSnapshots_Task) soap.HasFault {
	vm := vmOf(ctx, req.This)
	if vm == nil {
		return &methods.RemoveAllSnapshots_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, vm.Self, "removeAllSnapshots", func() (result, fault) {
		var f fault
		ctx.WithLock(vm, func() {
			if vm.Snapshot != nil {
				f = m.s.removeSnapshots(ctx, vm, treeRefs(vm.Snapshot.RootSnapshotList))
			}
		})
		return nil, f
	})
	return &methods.RemoveAllSnapshots_TaskBody{Res: &types.RemoveAllSnapshots_TaskResponse{Returnval: ref}}
}

func (m *vmMethods) ConsolidateVMDisksTask(ctx *simulator.Context, req *types.ConsolidateVMDisks_Task) soap.HasFault {
	vm := vmOf(ctx, req.This)
	if vm == nil {
		return &methods.ConsolidateVMDisks_TaskBody{Fault_: notFound(req.This)}
	}
	ref := m.s.run(ctx, vm.Self, "consolidateDisks", func() (result, fault) {
		var f fault
		ctx.WithLock(vm, func() { f = m.s.consolidate(ctx, vm, m.s.chainsOf(m.s.refresh(ctx, vm), nil)) })
		return nil, f
	})
	return &methods.ConsolidateVMDisks_TaskBody{Res: &types.ConsolidateVMDisks_TaskResponse{Returnval: ref}}
}

// NeedConsolidation sets runtime.consolidationNeeded, which ConsolidateVMDisks
// clears.
func (s *Site) NeedConsolidation(vm string) error {
	o, _, err := s.find(vm)
	if err != nil {
		return err
	}
	ctx := s.context()
	ctx.WithLock(o, func() { setConsolidation(ctx, o, true) })
	return nil
}

func setConsolidation(ctx *simulator.Context, vm *simulator.VirtualMachine, need bool) {
	ctx.Update(vm, []types.PropertyChange{
		{Name: "runtime.consolidationNeeded", Val: need},
		{Name: "summary.runtime.consolidationNeeded", Val: need},
	})
}

func snapshotOf(ctx *simulator.Context, ref types.ManagedObjectReference) (*simulator.VirtualMachineSnapshot, *simulator.VirtualMachine) {
	sn, ok := ctx.Map.Get(ref).(*simulator.VirtualMachineSnapshot)
	if !ok {
		return nil, nil
	}
	return sn, vmOf(ctx, sn.Vm)
}

// removeSnapshots removes snapshots from the VM's tree and merges what only they
// kept. If one of their files is open elsewhere, the snapshots are gone but the
// merge is left for a consolidation, and the task fails, as on a real host.
func (s *Site) removeSnapshots(ctx *simulator.Context, vm *simulator.VirtualMachine, gone []types.ManagedObjectReference) fault {
	chains := s.chainsOf(s.refresh(ctx, vm), gone)
	s.mu.Lock()
	for _, c := range chains {
		for _, n := range c.im.nodes {
			for _, ref := range gone {
				if n.snap == ref.Value {
					n.snap = ""
				}
			}
		}
	}
	s.mu.Unlock()
	for _, ref := range gone {
		s.dropSnapshotFile(vm, ref)
	}
	if vm.Snapshot != nil {
		setTree(ctx, vm, pruneTree(vm.Snapshot, gone))
	}
	for _, ref := range gone {
		ctx.Map.Remove(ctx, ref)
	}
	return s.consolidate(ctx, vm, chains)
}

func (s *Site) consolidate(ctx *simulator.Context, vm *simulator.VirtualMachine, chains []frozen) fault {
	var locked string
	for _, c := range chains {
		busy := func(name string) bool {
			for _, o := range s.others(vm.Self) {
				for _, d := range o.disks {
					if d.file == name && o.on {
						return true
					}
				}
			}
			return false
		}
		// tidy calls it with mu held, so the states are read before.
		open := map[string]bool{}
		for _, n := range c.im.nodes {
			open[n.name] = busy(n.name)
		}
		if _, left := s.tidy(c.im, func(name string) bool { return open[name] }); left {
			locked = c.im.base
		}
	}
	s.showChains(ctx, vm, chains)
	setConsolidation(ctx, vm, locked != "")
	if locked != "" {
		return fileLocked(locked)
	}
	return nil
}

func (s *Site) others(self types.ManagedObjectReference) []*vmState {
	var l []*vmState
	for _, v := range s.states() {
		if v.ref != self {
			l = append(l, v)
		}
	}
	return l
}

// dropSnapshotFile removes a snapshot's .vmsn and its entries in the layouts.
func (s *Site) dropSnapshotFile(vm *simulator.VirtualMachine, ref types.ManagedObjectReference) {
	layout := types.VirtualMachineFileLayout{}
	if vm.Layout != nil {
		layout = *vm.Layout
	}
	layout.Snapshot = nil
	for _, l := range vm.Layout.Snapshot {
		if l.Key != ref {
			layout.Snapshot = append(layout.Snapshot, l)
		}
	}
	ex := *vm.LayoutEx
	ex.Snapshot, ex.File = nil, nil
	drop := map[int32]bool{}
	for _, l := range vm.LayoutEx.Snapshot {
		if l.Key == ref {
			drop[l.DataKey] = true
		} else {
			ex.Snapshot = append(ex.Snapshot, l)
		}
	}
	for _, f := range vm.LayoutEx.File {
		if !drop[f.Key] {
			ex.File = append(ex.File, f)
		} else if file, err := s.local(f.Name); err == nil {
			_ = os.Remove(file)
		}
	}
	vm.Layout, vm.LayoutEx = &layout, &ex
}
