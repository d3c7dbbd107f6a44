package vcenter

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/guestnet"
)

// readdress gives a running guest its addresses from inside, with the job's guest login.
// What prevents that does not stop the failover: the VM runs, and its check "addresses"
// says what to do. Waiting for VMware Tools ends after so long, 0 for one look.
func (r *run) readdress(ctx context.Context, v inventory.VM, wait time.Duration) error {
	id := r.identity()
	if id == nil || id.Login == "" || len(v.Hardware.NICs) == 0 || r.rec.Value.Given == v.UUID {
		return nil
	}
	over := r.clock.Now().Add(wait)
	for {
		r.tell("waits for VMware Tools of "+v.Name+", to set the guest's addresses", 0, 0)
		err := r.readdressNow(ctx, v, *id)
		if cdp.Is(err, cdp.Transient) && ctx.Err() == nil && r.clock.Now().Before(over) {
			if err := clock.Sleep(ctx, r.clock, r.cfg.CheckEvery); err != nil {
				return err
			}
			continue
		}
		if ctx.Err() != nil {
			return err
		}
		return r.readdressed(ctx, v, *id, err)
	}
}

// readdressed records how it ended.
func (r *run) readdressed(ctx context.Context, v inventory.VM, id inventory.Identity, err error) error {
	given, why := v.UUID, ""
	if err != nil {
		given = ""
		why = fmt.Sprintf("its addresses could not be set in the guest (%v): set them at its console: %s", err, orNone(givenAddresses(&id)))
		if hint := cdp.HintOf(err); hint != "" {
			why += "; or " + hint + ", and then: tidemark failover check " + r.req.Job
		}
	}
	if why != "" && why != r.rec.Value.Unset {
		r.report.member(ctx, r.m.Value, v.Name+" is started by the failover "+r.req.Run+", but "+why)
	}
	return r.enter(ctx, r.rec.Value.Stage, func(x *runRecord) { x.Unset, x.Given = why, given })
}

func (r *run) readdressNow(ctx context.Context, v inventory.VM, id inventory.Identity) error {
	user, password, err := r.guests.Login(id.Login)
	if err != nil {
		return err
	}
	if !v.Guest.ToolsRunning {
		now, err := r.vc.VM(ctx, v.UUID)
		if err != nil {
			return err
		}
		if !now.Guest.ToolsRunning {
			return cdp.Errorf(cdp.Transient, "set the addresses of", v.Name, "VMware Tools do not run in the guest")
		}
	}
	var macs []string
	for _, n := range v.Hardware.NICs {
		macs = append(macs, n.MAC)
	}
	s := inventory.GuestScript{ID: "addresses-" + r.req.Run, User: user, Password: password, Windows: id.Windows, Text: guestnet.Script(id, macs)}
	got, err := r.vc.RunInGuest(ctx, v.Ref, s)
	if cdp.Is(err, cdp.Transient) {
		return err // it may still run
	}
	// The script may run again, so nothing of it has to be kept.
	if ferr := r.vc.ForgetGuestRun(ctx, v.Ref, s); err == nil {
		err = ferr
	}
	if err == nil && got.Exit != 0 {
		err = cdp.Errorf(cdp.Conflict, "set the addresses of", v.Name, "the guest says: %s", strings.TrimSpace(got.Output))
	}
	return err
}
