package vcsim

import (
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// The stock removal panics if the current snapshot is a root with children, so the
// tree is ours.

func treeRefs(tree []types.VirtualMachineSnapshotTree) []types.ManagedObjectReference {
	var r []types.ManagedObjectReference
	for _, t := range tree {
		r = append(append(r, t.Snapshot), treeRefs(t.ChildSnapshotList)...)
	}
	return r
}

func findTree(info *types.VirtualMachineSnapshotInfo, ref types.ManagedObjectReference) *types.VirtualMachineSnapshotTree {
	if info == nil {
		return nil
	}
	var find func([]types.VirtualMachineSnapshotTree) *types.VirtualMachineSnapshotTree
	find = func(tree []types.VirtualMachineSnapshotTree) *types.VirtualMachineSnapshotTree {
		for i := range tree {
			if tree[i].Snapshot == ref {
				return &tree[i]
			}
			if t := find(tree[i].ChildSnapshotList); t != nil {
				return t
			}
		}
		return nil
	}
	return find(info.RootSnapshotList)
}

// pruneTree is the tree without some snapshots: their children move up, and the
// nearest remaining ancestor becomes the current snapshot.
func pruneTree(info *types.VirtualMachineSnapshotInfo, gone []types.ManagedObjectReference) *types.VirtualMachineSnapshotInfo {
	parent := map[types.ManagedObjectReference]types.ManagedObjectReference{}
	var prune func(tree []types.VirtualMachineSnapshotTree, up types.ManagedObjectReference) []types.VirtualMachineSnapshotTree
	prune = func(tree []types.VirtualMachineSnapshotTree, up types.ManagedObjectReference) []types.VirtualMachineSnapshotTree {
		var r []types.VirtualMachineSnapshotTree
		for _, t := range tree {
			parent[t.Snapshot] = up
			kids := prune(t.ChildSnapshotList, t.Snapshot)
			if slices.Contains(gone, t.Snapshot) {
				r = append(r, kids...)
				continue
			}
			t.ChildSnapshotList = kids
			r = append(r, t)
		}
		return r
	}
	n := &types.VirtualMachineSnapshotInfo{RootSnapshotList: prune(info.RootSnapshotList, types.ManagedObjectReference{})}
	if info.CurrentSnapshot != nil {
		cur := *info.CurrentSnapshot
		for slices.Contains(gone, cur) {
			cur = parent[cur]
		}
		if cur.Value != "" {
			n.CurrentSnapshot = &cur
		}
	}
	return n
}

func setTree(ctx *simulator.Context, vm *simulator.VirtualMachine, info *types.VirtualMachineSnapshotInfo) {
	if len(info.RootSnapshotList) == 0 {
		ctx.Update(vm, []types.PropertyChange{{Name: "snapshot", Val: nil}, {Name: "rootSnapshot", Val: nil}})
		return
	}
	var roots []types.ManagedObjectReference
	for _, t := range info.RootSnapshotList {
		roots = append(roots, t.Snapshot)
	}
	ctx.Update(vm, []types.PropertyChange{{Name: "snapshot", Val: info}, {Name: "rootSnapshot", Val: roots}})
}
