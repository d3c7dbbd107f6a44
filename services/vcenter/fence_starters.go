package vcenter

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// starters are what starts a VM without being asked, as it was before a fence turned it
// off. It is on record before that, and until it was given back.
type starters struct {
	// AutoStart is how its host started it; nil: it did not, or that is not known yet.
	AutoStart *inventory.AutoStart `json:"autoStart,omitempty"`
	// HA is how vSphere HA restarted it; nil as AutoStart.
	HA *inventory.HARestart `json:"ha,omitempty"`
}

// startedVMs is what turns starters off and on.
type startedVMs interface {
	AutoStartReader
	AutoStarter
	HAReader
	HARestarter
}

// keepDown keeps the VM's host from starting the VM when the host starts, and vSphere HA
// from restarting it, and reads both back. A vCenter that refuses the latter only refuses
// nothing here: HA restarts what ran when a host failed, and this VM is powered off. Why it
// refused is returned as unset.
func (f *fencer) keepDown(ctx context.Context, vc startedVMs, v inventory.VM, rec *record[fenceRecord]) (unset error, err error) {
	if err := f.hostLeavesOff(ctx, vc, v, rec); err != nil {
		return nil, err
	}
	err = f.haLeavesOff(ctx, vc, v, rec)
	if cdp.Is(err, cdp.Conflict) {
		return err, nil
	}
	return nil, err
}

func (f *fencer) hostLeavesOff(ctx context.Context, vc startedVMs, v inventory.VM, rec *record[fenceRecord]) error {
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
	now, err := vc.AutoStart(ctx, v.Ref)
	if err == nil && now.Starts() {
		err = cdp.Errorf(cdp.Transient, op, v.Name, "it was taken out of the autostart list, but is still in it")
	}
	return err
}

func (f *fencer) haLeavesOff(ctx context.Context, vc startedVMs, v inventory.VM, rec *record[fenceRecord]) error {
	const op = "keep vSphere HA from restarting"
	x, err := vc.HARestart(ctx, v.Ref)
	if err != nil || !x.Restarts {
		return err
	}
	rec.Value.HA = &x
	if err := rec.save(ctx); err != nil {
		return err
	}
	if err := vc.SetHARestart(ctx, v.Ref, x.Off()); err != nil {
		return cdp.Wrap(err, op, v.Name)
	}
	now, err := vc.HARestart(ctx, v.Ref)
	if err == nil && now.Restarts {
		err = cdp.Errorf(cdp.Transient, op, v.Name, "its restart priority was set to disabled, but is %s", now.Priority)
	}
	return err
}

// startAgain turns a VM's starters on again, as they were, and reads them back.
func startAgain(ctx context.Context, vc startedVMs, v inventory.VM, was starters) error {
	if x := was.AutoStart; x != nil {
		const op = "have the host start"
		err := vc.SetAutoStart(ctx, v.Ref, *x)
		if err == nil {
			var now inventory.AutoStart
			if now, err = vc.AutoStart(ctx, v.Ref); err == nil && !now.Starts() {
				err = cdp.Errorf(cdp.Transient, op, v.Name, "it was put into the autostart list again, but is not in it")
			}
		}
		if err != nil && !cdp.Is(err, cdp.NotFound) { // it may be on a host that starts no VMs
			return cdp.Wrap(err, op, v.Name)
		}
	}
	if x := was.HA; x != nil {
		const op = "have vSphere HA restart"
		err := vc.SetHARestart(ctx, v.Ref, *x)
		if err == nil {
			var now inventory.HARestart
			if now, err = vc.HARestart(ctx, v.Ref); err == nil && now.Disabled() {
				err = cdp.Errorf(cdp.Transient, op, v.Name, "its restart priority was given back, but is disabled")
			}
		}
		if err != nil && !cdp.Is(err, cdp.NotFound) { // it may have left the cluster
			return cdp.Wrap(err, op, v.Name)
		}
	}
	return nil
}

// startHome turns the starters of the VM on again that a failover has brought home: the
// failover that it led back from had turned them off, and will not give them back.
func (r *run) startHome(ctx context.Context, v inventory.VM) error {
	if r.m.Value.TookFrom == "" {
		return nil
	}
	rec, err := load[fenceRecord](ctx, r.records, keyFence+r.m.Value.TookFrom)
	if err != nil || rec.Value.VM != v.UUID || rec.Value.starters == (starters{}) {
		return err
	}
	if err := startAgain(ctx, r.vc, v, rec.Value.starters); err != nil {
		return err
	}
	rec.Value.starters = starters{}
	return rec.save(ctx)
}
