package vcenter

import (
	"context"
	"errors"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// upgrade puts a new VM in the place of an old one, v, which is kept, off, until
// the new one answers. A journal stays on the disks of the appliance that made
// it, so the old one must keep none: that is looked at before anything is made,
// and again right before it is powered off. Whatever refuses the upgrade on the
// way takes it back.
func (d *deployment) upgrade(ctx context.Context, inv inventory.Inventory, v inventory.VM) error {
	if !d.rec.exists() {
		if err := d.home(ctx, d.op, d.r.Name, inv, v, "it cannot replace itself: bring the new version of tidemark to it where it was installed"); err != nil {
			return err
		}
		if err := d.keepsNothing(ctx, d.op, d.r.Name, false); err != nil {
			return err
		}
		if _, err := d.place(inv); err != nil {
			return err
		}
		d.rec.Value = deployRecord{Stage: deployImporting, Old: v.Ref}
		if err := d.rec.save(ctx, d.Service); err != nil {
			return err
		}
	}
	fresh, made := d.fresh(inv)
	other := made && len(differs(fresh, d.recipe)) > 0
	switch stage := d.rec.Value.Stage; {
	case stage == deployHeard:
		if err := d.settle(ctx, inv, fresh); err != nil || !other {
			return err
		}
		return d.do(ctx) // that was what was asked for before
	case stage == deploySwitched && other:
		if err := d.keepsNothing(ctx, d.op, d.r.Name, true); err != nil {
			return err
		}
		if err := d.back(ctx); err != nil {
			return err
		}
		return d.do(ctx)
	case made && (stage == deployImporting || other):
		if err := d.destroyTransporter(ctx, d.vc, fresh); err != nil {
			return err
		}
		made = false
	}
	if !made {
		at, err := d.place(inv)
		if err == nil {
			fresh, err = d.importOVA(ctx, at, d.r.Name+"-new", d.r.Name+beside)
		}
		if err != nil {
			return d.refused(ctx, err)
		}
	}
	if err := d.switchOver(ctx, inv); err != nil {
		return d.refused(ctx, err)
	}
	if err := d.bringUp(ctx, fresh); err != nil {
		if !errors.Is(err, errUnheard) || ctx.Err() != nil {
			return d.refused(ctx, err)
		}
		hint := "the old one runs again; look why at another one: tidemark transporter deploy, under another name"
		if back := d.back(ctx); back != nil {
			d.note(back)
			hint = "the old one is not on again; this goes on with it: tidemark transporter upgrade " + d.r.Name
		}
		return cdp.Errorf(cdp.Transient, "wait for transporter", d.r.Name, "%w in %s", errUnheard, d.cfg.AnswerWait).WithHint(hint)
	}
	d.rec.Value.Stage = deployHeard
	if err := d.rec.save(ctx, d.Service); err != nil {
		return err
	}
	return d.settle(ctx, inv, fresh)
}

// fresh is the VM that the upgrade has made.
func (d *deployment) fresh(inv inventory.Inventory) (inventory.VM, bool) {
	if v, found := findTransporter(inv, d.r.Name+beside); found {
		return v, true
	}
	v, found := findTransporter(inv, d.r.Name)
	return v, found && v.Ref != d.rec.Value.Old
}

func (d *deployment) old(inv inventory.Inventory) (inventory.VM, bool) {
	i := slices.IndexFunc(inv.VMs, func(v inventory.VM) bool { return v.Ref == d.rec.Value.Old })
	if i < 0 {
		return inventory.VM{}, false
	}
	return inv.VMs[i], true
}

// switchOver powers the old one off, if it keeps nothing. Once that is recorded
// nobody is asked what it keeps: it is off, and the new one answers in its name.
func (d *deployment) switchOver(ctx context.Context, inv inventory.Inventory) error {
	old, there := d.old(inv)
	if !there || d.rec.Value.Stage == deploySwitched && old.Power != inventory.PoweredOn {
		return nil
	}
	if err := d.keepsNothing(ctx, d.op, d.r.Name, false); err != nil {
		return err
	}
	d.tell("powers the old one off", 0, 0)
	if err := d.vc.PowerOff(ctx, old.Ref); err != nil && !cdp.Is(err, cdp.NotFound) {
		return err
	}
	d.rec.Value.Stage = deploySwitched
	return d.rec.save(ctx, d.Service)
}

// settle removes the old one, and gives the new one its name.
func (d *deployment) settle(ctx context.Context, inv inventory.Inventory, fresh inventory.VM) error {
	if old, there := d.old(inv); there {
		d.tell("removes the old one", 0, 0)
		if err := d.destroyTransporter(ctx, d.vc, old); err != nil {
			return err
		}
	}
	if err := d.vc.Label(ctx, fresh.Ref, d.r.Name, "", map[string]string{inventory.MarkTransporter: d.r.Name}); err != nil {
		return err
	}
	d.tell(d.r.Name+" answers", 0, 0)
	return d.rec.drop(ctx, d.Service)
}
