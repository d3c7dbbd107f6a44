package vcenter

import (
	"context"
	"fmt"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
)

// fencer powers off the source VM of a failover and forbids its power-on, so that it
// does not run beside the replica VM, and takes that back. It answers the failover
// service of a job's target.
type fencer struct {
	connect func(context.Context) (fencedVMs, error)
	site    func(context.Context) (Site, error)
	lanes   *lanes
	specs   SourceSpecs
	records Records
	report  *reporter
	clock   clock.Clock
	pause   time.Duration // between two looks at a guest that shuts down
}

// fencedVMs is what a fencer needs of a vCenter.
type fencedVMs interface {
	VMReader
	Power
	PowerBlock
	startedVMs
	GuestShutdown
}

// fenceRecord is a group's VM that a failover has fenced, or had fenced. It is written
// before anything is changed, and kept, so that a late request changes nothing.
type fenceRecord struct {
	Run    string         `json:"run"`
	Turn   uint64         `json:"turn"`
	Target cdp.Site       `json:"target"`
	VM     string         `json:"vm"`
	Want   recovery.Fence `json:"want"`
	// Banned: its power-on may have been forbidden. WasOn: it was on before. Both until
	// it was given back.
	Banned bool `json:"banned,omitempty"`
	WasOn  bool `json:"wasOn,omitempty"`
	starters
}

// fence handles api.VMFence.
func (f *fencer) fence(ctx context.Context, r api.FenceRequest) (any, error) {
	id := fmt.Sprintf("fence %d %s", r.Turn, r.Want)
	at := lane("fence", r.Group)
	f.lanes.stop(at, func(running string) bool { return running != id }) // a guest that shuts down is not waited for any more
	_, p, err := inLane(ctx, f.lanes, at, id, func(ctx context.Context, tell progress) (api.Empty, error) {
		return api.Empty{}, cdp.Wrap(f.fenceNow(ctx, r, tell), "fence", string(r.Group))
	})
	return p, err
}

func (f *fencer) fenceNow(ctx context.Context, r api.FenceRequest, tell progress) error {
	rec, err := load[fenceRecord](ctx, f.records, keyFence+string(r.Group))
	if err != nil {
		return err
	}
	if err := f.allowed(ctx, r, rec.Value); err != nil {
		return err
	}
	by, err := f.takenBack(ctx, r)
	if err != nil {
		return err
	}
	if by != "" {
		tell("the VM became the replica of "+by+", which leads back from the failover: its power is left alone", 0, 0)
		return nil
	}
	vc, err := f.connect(ctx)
	if err != nil {
		return err
	}
	v, err := vc.VM(ctx, r.VM)
	gone := cdp.Is(err, cdp.NotFound)
	if err != nil && !gone {
		return err
	}
	if r.Want == recovery.Fenced && r.Shutdown == recovery.ShutNone && !gone && v.Power != inventory.PoweredOff {
		return cdp.Errorf(cdp.Conflict, "fence", v.Name, "the VM is %s, and the failover is to leave its power alone", v.Power).
			WithHint("shut it down first, or have it shut down: --shutdown graceful")
	}
	if was := rec.Value; !rec.exists() || was.Turn != r.Turn {
		rec.Value = fenceRecord{Run: r.Run, Turn: r.Turn, Target: r.Target, VM: r.VM, Want: r.Want,
			starters: was.starters, Banned: was.Banned || r.Want == recovery.Fenced, WasOn: was.WasOn || r.Want == recovery.Fenced && v.Power == inventory.PoweredOn}
		if err := rec.save(ctx); err != nil {
			return err
		}
	}
	switch {
	case gone:
		tell("the VM is no longer at the source's vCenter", 0, 0)
		return nil
	case r.Want == recovery.Fenced:
		return f.off(ctx, vc, v, r, rec, tell)
	}
	return f.back(ctx, vc, v, rec, tell)
}

// allowed says whether a request concerns a VM of a job between this site and the one
// that asks. A job that was deleted meanwhile may still take back what it did.
func (f *fencer) allowed(ctx context.Context, r api.FenceRequest, was fenceRecord) error {
	switch {
	case r.Run == "" || r.Group == "" || r.VM == "" || r.Turn == 0:
		return cdp.Errorf(cdp.Invalid, "fence", string(r.Group), "the request must name the run, its turn, the group and the VM")
	case r.Want != recovery.Fenced && r.Want != recovery.Restored && r.Want != recovery.Released:
		return cdp.Errorf(cdp.Invalid, "fence", string(r.Group), "%q: must be fenced, restored or released", r.Want)
	case r.Wait < 0 || r.Wait.Std() > time.Hour:
		return cdp.Errorf(cdp.Invalid, "fence", string(r.Group), "wait %s: must be at most 1h", r.Wait)
	case r.Turn < was.Turn:
		return cdp.Errorf(cdp.Conflict, "fence", string(r.Group), "the request is older than one of the run %s, which made the VM %s", was.Run, was.Want)
	}
	if was.VM == r.VM && was.Target == r.Target {
		return nil
	}
	site, err := f.site(ctx)
	if err != nil {
		return err
	}
	g, err := f.specs.Group(ctx, string(r.Group))
	switch {
	case cdp.Is(err, cdp.NotFound):
		return cdp.Errorf(cdp.Conflict, "fence", string(r.Group), "the site %s knows no such job, and touches no VM for it", site.Name).
			WithHint("see that the VM at the source is off, and stays off")
	case err != nil:
		return err
	case g.Source.VM != r.VM || g.Target.Site != r.Target || g.Source.Site != site.Name:
		return cdp.Errorf(cdp.Conflict, "fence", string(r.Group), "the job protects the VM %s of %s at %s, not %s of %s at %s",
			g.Source.VM, g.Source.Site, g.Target.Site, r.VM, site.Name, r.Target)
	}
	return nil
}

// takenBack is the group whose replica the VM is since it leads back from the failover that
// asks; empty: none. Its power is then the business of that group's failovers only: the VM
// may run here again, or have no disks.
func (f *fencer) takenBack(ctx context.Context, r api.FenceRequest) (string, error) {
	all, _, err := readable(ctx, f.records, "")
	for _, m := range all {
		if m.Value.TookFrom == string(r.Group) && m.Value.ReplicaUUID == r.VM {
			return m.Value.Group, nil
		}
	}
	return "", err
}

// off powers the VM off and forbids its power-on, and reads back that it is off. The
// ban comes first, so that nothing starts the VM in between. Where the vCenter refuses
// the ban, or to keep the host from starting the VM, an emergency failover powers the VM
// off all the same.
func (f *fencer) off(ctx context.Context, vc fencedVMs, v inventory.VM, r api.FenceRequest, rec *record[fenceRecord], tell progress) error {
	why := fmt.Sprintf("the failover %s runs it at the site %s: use tidemark failover undo %s there, or after a commit tidemark failover unfence %s", r.Run, r.Target, r.Group, r.Group)
	var unset error
	refused := vc.Block(ctx, v.Ref, why)
	if refused == nil {
		unset, refused = f.keepDown(ctx, vc, v, rec)
	}
	if refused != nil && r.Shutdown != recovery.ShutNow {
		return refused
	}
	if v.Power != inventory.PoweredOff {
		if err := f.shut(ctx, vc, v, r, tell); err != nil {
			return err
		}
		now, err := vc.VM(ctx, r.VM)
		if err != nil && !cdp.Is(err, cdp.NotFound) {
			return err
		}
		if err == nil && now.Power != inventory.PoweredOff {
			return cdp.Errorf(cdp.Transient, "fence", v.Name, "it was powered off, but is %s", now.Power)
		}
		f.report.alarm(ctx, "fenced", v.Name, fmt.Sprintf("it was powered off, and cannot be powered on: the failover %s runs it at the site %s", r.Run, r.Target))
	}
	if refused != nil {
		return cdp.Wrap(refused, "fence", v.Name+" is off, but may be started again")
	}
	text := v.Name + " is powered off at the source, and cannot be powered on"
	if rec.Value.AutoStart != nil {
		text += "; its host does not start it by itself any more"
	}
	switch {
	case unset != nil:
		text += "; vSphere HA would restart it if it ran, because its setting could not be changed: " + unset.Error()
	case rec.Value.HA != nil:
		text += "; vSphere HA does not restart it any more"
	}
	tell(text, 0, 0)
	return nil
}

// shut powers the VM off as the request says. That it is off is read back by the
// caller.
func (f *fencer) shut(ctx context.Context, vc fencedVMs, v inventory.VM, r api.FenceRequest, tell progress) error {
	if r.Shutdown == recovery.ShutNow {
		tell("powers "+v.Name+" off", 0, 0)
		return vc.PowerOff(ctx, v.Ref)
	}
	tell("shuts down the guest of "+v.Name, 0, 0)
	err := vc.ShutdownGuest(ctx, v.Ref)
	if err == nil {
		var off bool
		if off, err = f.waitOff(ctx, vc, r); off {
			return nil
		}
	}
	switch {
	case err != nil && !cdp.Is(err, cdp.Conflict):
		return err
	case r.Shutdown == recovery.ShutForced:
		tell("powers "+v.Name+" off, whose guest did not shut down", 0, 0)
		return vc.PowerOff(ctx, v.Ref)
	case err == nil:
		err = cdp.Errorf(cdp.Conflict, "fence", v.Name, "its guest did not shut down within %s", r.Wait)
	}
	return cdp.Errorf(cdp.KindOf(err), "fence", v.Name, "%w", err).WithHint("shut it down yourself, or have it powered off if its guest does not: --shutdown forced")
}

// waitOff waits until the VM is off, for as long as the request says.
func (f *fencer) waitOff(ctx context.Context, vc fencedVMs, r api.FenceRequest) (off bool, err error) {
	for over := f.clock.Now().Add(r.Wait.Std()); ; {
		v, err := vc.VM(ctx, r.VM)
		if err != nil || v.Power == inventory.PoweredOff {
			return err == nil, err
		}
		if !f.clock.Now().Before(over) {
			return false, nil
		}
		if err := clock.Sleep(ctx, f.clock, f.pause); err != nil {
			return false, cdp.Wrap(err, "wait for the shutdown of", v.Name)
		}
	}
}

// back allows the VM's power-on again, if a failover forbade it. If the VM is to be
// restored, and fencing powered it off, it is powered on.
func (f *fencer) back(ctx context.Context, vc fencedVMs, v inventory.VM, rec *record[fenceRecord], tell progress) error {
	text := v.Name + " can be powered on at the source"
	if rec.Value.Banned {
		if err := vc.Unblock(ctx, v.Ref); err != nil {
			return err
		}
	}
	if rec.Value.Want == recovery.Restored && rec.Value.WasOn {
		tell("powers "+v.Name+" on", 0, 0)
		if err := vc.PowerOn(ctx, v.Ref); err != nil {
			return err
		}
		now, err := vc.VM(ctx, v.UUID)
		if err != nil {
			return err
		}
		if now.Power != inventory.PoweredOn {
			return cdp.Errorf(cdp.Transient, "power on again", v.Name, "it was powered on, but is %s", now.Power)
		}
		text = v.Name + " is powered on again at the source"
	}
	if err := startAgain(ctx, vc, v, rec.Value.starters); err != nil { // last: the VM is worth more than this
		return err
	}
	if rec.Value.Banned || rec.Value.WasOn {
		rec.Value.Banned, rec.Value.WasOn, rec.Value.starters = false, false, starters{}
		if err := rec.save(ctx); err != nil {
			return err
		}
	}
	tell(text, 0, 0)
	return nil
}
