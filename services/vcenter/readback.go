package vcenter

import (
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// A step is done when the vCenter shows that it is. That a task was accepted, or is said
// to have succeeded, is not enough: a VM that was started on the wrong network, or
// without the snapshot that an undo goes back to, cannot be put right afterwards.

// see reads a VM again, and is Transient with the text unless it is so: the step is then
// done again.
func (r *run) see(ctx context.Context, v inventory.VM, op, text string, so func(inventory.VM) bool) (inventory.VM, error) {
	now, err := r.vc.VM(ctx, v.UUID)
	if err == nil && !so(now) {
		err = unseen(op, v.Name, text)
	}
	return now, err
}

// unseen is the error of a change that the vCenter accepted, and does not show.
func unseen(op, subject, text string) error {
	return cdp.Errorf(cdp.Transient, op, subject, "the vCenter reported success, but %s; it is tried again", text)
}

func isOn(v inventory.VM) bool  { return v.Power == inventory.PoweredOn }
func isOff(v inventory.VM) bool { return v.Power == inventory.PoweredOff }

// onNetworks is whether a VM's network cards are on these networks, by device key. Of
// some networks the vCenter does not say which card is on them.
func onNetworks(want map[int32]inventory.Ref) func(inventory.VM) bool {
	return func(v inventory.VM) bool {
		return !slices.ContainsFunc(v.Hardware.NICs, func(n inventory.NIC) bool {
			to := want[n.Key]
			return to != "" && n.Network != "" && n.Network != to
		})
	}
}

// hasNoDisk reports whether none of the run's disks is attached to the VM, directly or
// below a snapshot.
func (r *run) hasNoDisk(v inventory.VM) bool {
	return !slices.ContainsFunc(v.Hardware.Disks, func(d inventory.Disk) bool { return slices.Contains(r.files(), baseOf(d)) })
}
