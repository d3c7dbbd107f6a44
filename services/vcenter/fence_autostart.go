package vcenter

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// keepDown keeps the VM's host from starting the VM when the host starts, and reads that
// back. How it was is on record before, to be given back.
func (f *fencer) keepDown(ctx context.Context, vc fencedVMs, v inventory.VM, rec *record[fenceRecord]) error {
	const op = "keep the host from starting"
	x, err := vc.AutoStart(ctx, v.Ref)
	if err != nil || !x.Starts() {
		return err
	}
	rec.Value.AutoStart = &x
	if err := rec.save(ctx); err != nil {
		return err
	}
	if err := vc.SetAutoStart(ctx, v.Ref, x.Off()); err != nil {
		if cdp.Is(err, cdp.Transient) {
			return err
		}
		return cdp.Errorf(cdp.KindOf(err), op, v.Name, "%w", err).
			WithHint("the VM is in the autostart list of its host: remove it there, or allow Tidemark to: grant Host.Config.AutoStart")
	}
	if x, err = vc.AutoStart(ctx, v.Ref); err == nil && x.Starts() {
		err = cdp.Errorf(cdp.Transient, op, v.Name, "it was taken out of the autostart list, but is still in it")
	}
	return err
}

// startAgain has the VM's host start the VM as it did before; was is nil if it did not.
func (f *fencer) startAgain(ctx context.Context, vc fencedVMs, v inventory.VM, was *inventory.AutoStart) error {
	const op = "have the host start"
	if was == nil {
		return nil
	}
	err := vc.SetAutoStart(ctx, v.Ref, *was)
	if cdp.Is(err, cdp.NotFound) { // it is on a host that starts no VMs
		return nil
	}
	if err != nil {
		return cdp.Wrap(err, op, v.Name)
	}
	x, err := vc.AutoStart(ctx, v.Ref)
	if err == nil && !x.Starts() {
		err = cdp.Errorf(cdp.Transient, op, v.Name, "it was put into the autostart list again, but is not in it")
	}
	return err
}
