package vcenter

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// vmPower starts and stops VMs of the site that are nobody's replica, for plans.
//
// It never touches a VM that Tidemark made: a replica that is started by anything but a
// failover would write to the disks that replication writes to. It never starts a VM that
// a failover has fenced.
type vmPower struct {
	connect func(context.Context) (poweredVMs, error)
	site    func(context.Context) (Site, error)
	cache   *inventoryCache
	lanes   *lanes
	records Records
	clock   clock.Clock
	pause   time.Duration // between two looks at a guest that shuts down
}

// poweredVMs is what vmPower needs of a vCenter.
type poweredVMs interface {
	VMReader
	Power
	GuestShutdown
}

// set handles api.VMSetPower.
func (p *vmPower) set(ctx context.Context, r api.SetPowerRequest) (any, error) {
	const op = "set power of VM"
	vc, v, err := p.find(ctx, r)
	if err != nil {
		return nil, cdp.Wrap(err, op, r.VM)
	}
	reply := api.SetPowerReply{Power: v.Power}
	if reply.Done = v.Power == r.Want.Power(); r.DryRun || reply.Done {
		return reply, nil
	}
	_, reply.Progress, err = inLane(ctx, p.lanes, "power/"+v.UUID, string(r.Want), func(ctx context.Context, tell progress) (api.Empty, error) {
		return api.Empty{}, cdp.Wrap(p.setNow(ctx, vc, v, r, tell), op, v.Name)
	})
	if reply.Done {
		reply.Power = r.Want.Power()
	}
	return reply, err
}

// find is the VM as it is now, if the request may be carried out.
func (p *vmPower) find(ctx context.Context, r api.SetPowerRequest) (vc poweredVMs, v inventory.VM, err error) {
	if !r.Want.Known() || r.Wait < 0 || r.Wait.Std() > time.Hour {
		return nil, v, cdp.Errorf(cdp.Invalid, "read request", r.VM, "want %q, wait %s: must be start, shutdown or off, and at most 1h", r.Want, r.Wait)
	}
	found, err := p.cache.find(ctx, r.VM)
	if err != nil {
		return nil, v, err
	}
	inv, err := p.cache.recent(ctx)
	if err != nil {
		return nil, v, err
	}
	if vc, err = p.connect(ctx); err != nil {
		return nil, v, err
	}
	if v, err = vc.VM(ctx, found.UUID); err != nil {
		return nil, v, err
	}
	site, err := p.site(ctx)
	if err != nil {
		return nil, v, err
	}
	if t, why := inv.FindVM(site.Transporter); site.Transporter != "" && why == "" && t.UUID == v.UUID {
		return nil, v, cdp.Errorf(cdp.Conflict, "find VM", v.Name, "Tidemark runs on it")
	}
	return vc, v, p.allowed(ctx, v, r.Want)
}

// allowed says why the power of a VM is not to be changed.
func (p *vmPower) allowed(ctx context.Context, v inventory.VM, want inventory.PowerChange) error {
	const op = "look at VM"
	switch {
	case v.Template:
		return cdp.Errorf(cdp.Conflict, op, v.Name, "it is a template")
	case v.Mark(inventory.MarkTransporter) != "":
		return cdp.Errorf(cdp.Conflict, op, v.Name, "it is a transporter")
	case v.Ours():
		return cdp.Errorf(cdp.Conflict, op, v.Name, "it is the replica, or a test, of the job %s: only a failover starts and stops it", v.Mark(inventory.MarkGroup)).
			WithHint("use the action failover, undo or cleanup")
	case v.Manager != "":
		return cdp.Errorf(cdp.Conflict, op, v.Name, "%s manages it", v.Manager)
	case want != inventory.PowerStart:
		return nil
	}
	fences, err := p.records.List(ctx, keyFence)
	if err != nil {
		return cdp.Wrap(err, "list records", keyFence)
	}
	for _, r := range fences {
		var f fenceRecord
		if err := json.Unmarshal(r.Value, &f); err != nil {
			return &cdp.Error{Op: "read record", Kind: cdp.Corrupt, Subject: r.Key, Cause: err}
		}
		if f.Banned && f.VM == v.UUID {
			group := strings.TrimPrefix(r.Key, keyFence)
			return cdp.Errorf(cdp.Conflict, op, v.Name, "the failover %s of the job %s runs it at the site %s", f.Run, group, f.Target).
				WithHint(fmt.Sprintf("end that first, at %s: tidemark failover undo %s, or after a commit tidemark failover unfence %s", f.Target, group, group))
		}
	}
	return nil
}

// setNow changes the power, and reads it back.
func (p *vmPower) setNow(ctx context.Context, vc poweredVMs, v inventory.VM, r api.SetPowerRequest, tell progress) error {
	var err error
	switch r.Want {
	case inventory.PowerStart:
		tell("powers "+v.Name+" on", 0, 0)
		err = vc.PowerOn(ctx, v.Ref)
	case inventory.PowerShutdown:
		tell("shuts down the guest of "+v.Name, 0, 0)
		err = vc.ShutdownGuest(ctx, v.Ref)
	default:
		tell("powers "+v.Name+" off", 0, 0)
		err = vc.PowerOff(ctx, v.Ref)
	}
	for over := p.clock.Now().Add(r.Wait.Std()); err == nil; err = clock.Sleep(ctx, p.clock, p.pause) {
		now, err := vc.VM(ctx, v.UUID)
		switch {
		case err != nil:
			return err
		case now.Power == r.Want.Power():
			return nil
		case !p.clock.Now().Before(over) && r.Want == inventory.PowerShutdown:
			return cdp.Errorf(cdp.Conflict, "wait for shutdown", v.Name, "its guest did not shut down within %s", r.Wait).
				WithHint("give it more time, or power it off: do: off")
		case !p.clock.Now().Before(over):
			return cdp.Errorf(cdp.Transient, "wait for power", v.Name, "the vCenter has done it, but the VM is %s", now.Power)
		}
	}
	return err
}
