package vcenter

import (
	"context"
	"errors"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// upgrade replaces the VM v by a new one. The old VM stays, powered off, until the
// new one answers. The data disk of Tidemark's own appliance, with its journals, moves to
// the new VM. Any other appliance must keep no journals: this is checked before anything
// is made, and again right before it is powered off. If anything refuses the upgrade, it
// is rolled back.
func (d *deployment) upgrade(ctx context.Context, inv inventory.Inventory, v inventory.VM) error {
	if !d.rec.exists() {
		_, gives := dataOf(v)
		way := "install the new version of tidemark on it the way it was installed"
		if gives {
			way = "shut it down, and give its data disk by hand to a VM of the new OVA: deploy/vsphere.md, \"An appliance with a whole site\""
		}
		if err := d.home(ctx, d.op, d.r.Name, inv, v, "it cannot replace itself: "+way); err != nil {
			return err
		}
		if !gives {
			if err := d.keepsNothing(ctx, d.op, d.r.Name, false); err != nil {
				return err
			}
		}
		if _, err := d.place(inv); err != nil {
			return err
		}
		d.rec.Value = deployRecord{Stage: deployImporting, Old: v.Ref}
		if err := d.rec.save(ctx); err != nil {
			return err
		}
	}
	fresh, made := d.fresh(inv)
	other := made && len(differs(fresh, d.recipe)) > 0
	switch stage := d.rec.Value.Stage; {
	case stage == deployHeard:
		if err := d.finish(ctx, inv, fresh); err != nil || !other {
			return err
		}
		return d.do(ctx) // what was heard is what an earlier request asked for
	case stage == deploySwitched && other:
		if d.rec.Value.Data == (dataDisk{}) {
			if err := d.keepsNothing(ctx, d.op, d.r.Name, true); err != nil {
				return err
			}
		}
		if err := d.rollBack(ctx); err != nil {
			return err
		}
		return d.do(ctx)
	case made && (stage == deployImporting || other):
		if err := d.destroy(ctx, d.vc, fresh); err != nil {
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
			return d.giveUp(ctx, err)
		}
	}
	if err := d.switchOver(ctx, inv, fresh); err != nil {
		return d.giveUp(ctx, err)
	}
	if err := d.bringUp(ctx, fresh); err != nil {
		if !errors.Is(err, errUnheard) || ctx.Err() != nil {
			return d.giveUp(ctx, err)
		}
		hint := "the old one runs again; deploy one under another name to see why: tidemark transporter deploy"
		if failed := d.rollBack(ctx); failed != nil {
			d.report.note(failed)
			hint = "the old one is not powered on again; continue with: tidemark transporter upgrade " + d.r.Name
		}
		return cdp.Errorf(cdp.Transient, "wait for transporter", d.r.Name, "%w in %s", errUnheard, d.cfg.AnswerWait).WithHint(hint)
	}
	d.rec.Value.Stage = deployHeard
	if err := d.rec.save(ctx); err != nil {
		return err
	}
	return d.finish(ctx, inv, fresh)
}

// fresh is the VM that the upgrade made.
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

// switchOver powers the old VM off, if it keeps nothing or gives what it keeps to the new
// one. Once that is recorded, it is not asked again: it is off, and the new VM answers to
// its name.
func (d *deployment) switchOver(ctx context.Context, inv inventory.Inventory, fresh inventory.VM) error {
	old, there := d.old(inv)
	if !there {
		return nil
	}
	if d.rec.Value.Stage == deploySwitched && old.Power != inventory.PoweredOn {
		return d.giveData(ctx, fresh.Ref)
	}
	data, gives := dataOf(old)
	if gives = gives && fresh.Mark(inventory.MarkData) != ""; !gives {
		if err := d.keepsNothing(ctx, d.op, d.r.Name, false); err != nil {
			return err
		}
	}
	d.tell("powers the old one off", 0, 0)
	if err := d.vc.PowerOff(ctx, old.Ref); err != nil && !cdp.Is(err, cdp.NotFound) {
		return err
	}
	d.rec.Value.Stage = deploySwitched
	if gives {
		d.rec.Value.Data = data
	}
	if err := d.rec.save(ctx); err != nil {
		return err
	}
	return d.giveData(ctx, fresh.Ref)
}

// finish destroys the old VM and gives its name to the new one.
func (d *deployment) finish(ctx context.Context, inv inventory.Inventory, fresh inventory.VM) error {
	if old, there := d.old(inv); there {
		d.tell("removes the old one", 0, 0)
		if err := d.destroy(ctx, d.vc, old); err != nil {
			return err
		}
	}
	if err := d.vc.Label(ctx, fresh.Ref, d.r.Name, "", map[string]string{inventory.MarkTransporter: d.r.Name}); err != nil {
		return err
	}
	d.tell(d.r.Name+" answers", 0, 0)
	return d.rec.drop(ctx)
}
