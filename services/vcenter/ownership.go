package vcenter

import (
	"context"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// ownedVM identifies a VM that Tidemark made: a group's replica, or the VM of a
// test run. Nothing is done to a VM without its marks: a rebuilt vCenter reuses
// references for other VMs.
type ownedVM struct {
	group, run string        // run: of a test
	ref        inventory.Ref // where it was last seen
	uuid       string        // its instance UUID; empty: it was not seen since it was made
}

func replicaOf(m inventory.Member) ownedVM {
	return ownedVM{group: m.Group, ref: m.Replica, uuid: m.ReplicaUUID}
}

// marks reports whether a VM has the marks.
func (o ownedVM) marks(v inventory.VM) bool {
	return v.Mark(inventory.MarkGroup) == o.group && v.Mark(inventory.MarkRun) == o.run
}

// among finds the VM; NotFound. A clone has the same marks, so it is a Conflict if
// several VMs have them and none was recorded.
func (o ownedVM) among(all []inventory.VM) (inventory.VM, error) {
	const op = "find VM"
	var marked []inventory.VM
	var paths []string
	for _, v := range all {
		if !o.marks(v) {
			continue
		}
		if o.uuid != "" && v.UUID == o.uuid {
			return v, nil
		}
		marked, paths = append(marked, v), append(paths, v.Path)
	}
	for _, v := range marked {
		if o.ref != "" && v.Ref == o.ref {
			return v, nil
		}
	}
	switch {
	case len(marked) == 0 || o.uuid != "": // the others are clones
		return inventory.VM{}, cdp.Errorf(cdp.NotFound, op, o.group, "it does not exist")
	case len(marked) == 1:
		return marked[0], nil
	}
	return inventory.VM{}, cdp.Errorf(cdp.Conflict, op, o.group, "several VMs have its marks: %s", strings.Join(paths, ", ")).
		WithHint("remove the advanced settings " + inventory.MarkGroup + " and " + inventory.MarkJob + " from the clones")
}

// owned is the VM as it is now; NotFound.
func (c *inventoryCache) owned(ctx context.Context, vc VMReader, o ownedVM) (inventory.VM, error) {
	return c.vm(ctx, vc, o.group, o.marks, o.among)
}

// replica is a member's replica VM as it is now; NotFound.
func (c *inventoryCache) replica(ctx context.Context, vc VMReader, m inventory.Member) (inventory.VM, error) {
	return c.owned(ctx, vc, replicaOf(m))
}

// committedVM is the VM that a committed failover made of a replica; NotFound. It
// has no marks any more, and is known by its UUID.
func committedVM(ctx context.Context, vc VMReader, m inventory.Member) (inventory.VM, error) {
	if m.ReplicaUUID == "" {
		return inventory.VM{}, cdp.Errorf(cdp.NotFound, "find VM", m.Group, "its UUID is not known")
	}
	return vc.VM(ctx, m.ReplicaUUID)
}

// onlyUser is a Conflict if a VM other than vm has a file that is to be deleted as
// a disk, or in the chain below one: a vCenter deletes it if that VM is off.
func onlyUser(inv inventory.Inventory, dc inventory.Ref, file, uuid string, vm inventory.Ref) error {
	for _, u := range inv.UsersOf(dc, file, uuid) {
		if u.Ref != vm {
			return cdp.Errorf(cdp.Conflict, "delete disk", file, "it is also a disk of the VM %s", u.Path).
				WithHint("detach it there first")
		}
	}
	return nil
}

// unmarked are the marks' values of a VM that is nobody's replica any more.
func unmarked() map[string]string {
	return map[string]string{inventory.MarkGroup: inventory.NoMark, inventory.MarkJob: inventory.NoMark, inventory.MarkInstead: inventory.NoMark}
}
