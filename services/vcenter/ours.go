package vcenter

import (
	"context"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// ours is a VM that was made by us, as far as it is known: a group's replica, or
// the VM of a run's test. Nothing is done to a VM that does not have its marks:
// a vCenter that was made anew gives its references to others.
type ours struct {
	group, run string        // run: of a test
	ref        inventory.Ref // where it was seen last
	uuid       string        // its instance UUID; empty: it was never seen since it was made
}

func replicaOf(m inventory.Member) ours {
	return ours{group: m.Group, ref: m.Replica, uuid: m.ReplicaUUID}
}

func (o ours) is(v inventory.VM) bool {
	return v.Mark(inventory.MarkGroup) == o.group && v.Mark(inventory.MarkRun) == o.run
}

// among finds it; NotFound. A clone that somebody made of it has its marks, too:
// Conflict when it was never written down which of several it is.
func (o ours) among(all []inventory.VM) (inventory.VM, error) {
	const op = "find VM"
	var marked []inventory.VM
	var paths []string
	for _, v := range all {
		if !o.is(v) {
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
	case len(marked) == 0 || o.uuid != "": // others are clones
		return inventory.VM{}, cdp.Errorf(cdp.NotFound, op, o.group, "it does not exist")
	case len(marked) == 1:
		return marked[0], nil
	}
	return inventory.VM{}, cdp.Errorf(cdp.Conflict, op, o.group, "several VMs have its marks: %s", strings.Join(paths, ", ")).
		WithHint("take the advanced settings " + inventory.MarkGroup + " and " + inventory.MarkJob + " from those that are clones")
}

// find gives it as it is now; NotFound.
func (s *Service) find(ctx context.Context, vc VCenter, o ours) (inventory.VM, error) {
	for _, look := range []func(context.Context) (inventory.Inventory, error){s.lately,
		func(ctx context.Context) (inventory.Inventory, error) { return s.inventory(ctx, true) }} {
		inv, err := look(ctx)
		if err != nil {
			return inventory.VM{}, err
		}
		v, err := o.among(inv.VMs)
		if err == nil {
			var now inventory.VM
			if now, err = vc.VM(ctx, v.UUID); err == nil && now.Ref == v.Ref && o.is(now) {
				return now, nil
			}
		}
		if err != nil && !cdp.Is(err, cdp.NotFound) {
			return inventory.VM{}, err
		}
	}
	return inventory.VM{}, cdp.Errorf(cdp.NotFound, "find VM", o.group, "it does not exist any more")
}

// keptVM is what a committed failover made of the replica: it has no marks any
// more, and is known by its UUID; NotFound.
func (s *Service) keptVM(ctx context.Context, vc VCenter, m inventory.Member) (inventory.VM, error) {
	if m.ReplicaUUID == "" {
		return inventory.VM{}, cdp.Errorf(cdp.NotFound, "find VM", m.Group, "its UUID is not known")
	}
	return vc.VM(ctx, m.ReplicaUUID)
}

// replica is a member's replica VM as it is now; NotFound.
func (s *Service) replica(ctx context.Context, vc VCenter, m inventory.Member) (inventory.VM, error) {
	return s.find(ctx, vc, replicaOf(m))
}
