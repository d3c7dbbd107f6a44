package vcenter

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// filterHealth is what is known, since this process began, of the I/O filter that
// captures a member's writes.
type filterHealth struct {
	to       string          // where it was attached to send writes, once that was done
	at       time.Time       // when it was
	power    inventory.Power // the VM's
	uncaught string          // why the VM's writes are not captured, as the alarm said
	silent   time.Time       // since when it is attached and sends nothing
	again    bool            // it is attached, and must be detached first
	repaired time.Time       // when it was last attached once more,
	pause    time.Duration   // how long it is not attached again after that,
	pauses   *clock.Backoff  // and the next such pauses; nil: begin with the shortest
}

// captureWaits is the state of a capture group that waits for its filters.
const captureWaits = event.NeedsResync

// keepFilter attaches the I/O filter that sends the VM's writes to capture, once
// capture listens. It attaches it again, with an alarm, if it stops sending: a change
// of the VM's storage policy detaches it, and a host may not reach capture.
func (r *memberRound) keepFilter(ctx context.Context) error {
	m := r.m
	c, err := r.s.capture.Status(ctx, r.job.SourceSite, r.group)
	if cdp.Is(err, cdp.NotFound) || cdp.Is(err, cdp.Transient) || err == nil && len(c.Exports) < len(m.Value.Disks) {
		return nil // not yet: the next round
	}
	if err != nil {
		return err
	}
	disks := map[int32]string{}
	for i, d := range m.Value.Disks {
		if d.Gone.IsZero() {
			disks[d.Disk.Key] = c.Exports[i]
		}
	}
	to := fmt.Sprint(c.Exports)
	h := r.c.last(r.group).filter
	why := ""
	if i := slices.IndexFunc(r.reply.VMs, func(v inventory.VM) bool { return v.UUID == m.Value.VM.UUID }); i >= 0 {
		why = r.judgeFilter(&h, to, r.reply.VMs[i], c)
	}
	r.c.note(r.group, func(a *applied) { a.filter = h })
	if h.to != to {
		err = r.askTap(ctx, to, api.TapRequest{Attach: true, Disks: disks, Again: h.again})
		if err != nil && c.State == captureWaits && h.power != inventory.PoweredOff {
			why = err.Error()
		}
	}
	r.alarmUncaught(ctx, why)
	return err
}

// judgeFilter says why the VM's writes are not captured; empty if they are, or need
// not be. It has the filter attached again if it was detached, or is attached and
// silent for too long: ever less often while that repeats.
func (r *memberRound) judgeFilter(h *filterHealth, to string, v inventory.VM, c api.CaptureGroup) (why string) {
	now := r.s.clock.Now()
	h.power = v.Power
	detached := r.filterDetached(v) && r.asked.After(h.at) // an older answer says nothing about it
	switch {
	case h.to != to:
		return h.uncaught // it is being attached
	case detached:
		why = "its I/O filter was found detached"
		h.again = false
	case c.State != captureWaits || v.Power != inventory.PoweredOn:
		h.silent = time.Time{}
		if now.Sub(h.repaired) >= h.pause {
			h.pause, h.pauses = 0, nil
		}
		return ""
	case h.silent.IsZero():
		h.silent = now
		return h.uncaught
	case now.Sub(h.silent) < r.s.cfg.TapWait:
		return h.uncaught
	default:
		why = "its I/O filter is attached, but sends no writes"
		if c.Reason != "" {
			why += ": " + c.Reason
		}
		h.again = true
	}
	if now.Sub(h.repaired) >= h.pause {
		h.to, h.repaired = "", now
		if h.pauses == nil {
			h.pauses = &clock.Backoff{Min: r.s.cfg.TapWait, Max: 10 * r.s.cfg.Retry}
		}
		h.pause = h.pauses.Next()
	}
	return why
}

// filterDetached reports whether the filter is missing on some disk of the VM.
func (r *memberRound) filterDetached(v inventory.VM) bool {
	return slices.ContainsFunc(r.m.Value.Disks, func(d inventory.MemberDisk) bool {
		i := slices.IndexFunc(v.Hardware.Disks, func(x inventory.Disk) bool { return x.Key == d.Disk.Key })
		return d.Gone.IsZero() && i >= 0 && !slices.ContainsFunc(v.Hardware.Disks[i].Filters, func(id string) bool { return inventory.SameFilter(id, r.job.Job.Source.Filter) })
	})
}

// alarmUncaught raises an alarm when the reason why a VM's writes are not captured
// changes, and when it is over.
func (r *memberRound) alarmUncaught(ctx context.Context, why string) {
	if r.c.last(r.group).filter.uncaught == why {
		return
	}
	r.c.note(r.group, func(a *applied) { a.filter.uncaught = why })
	if why == "" {
		why = "its writes are captured again, or need not be"
	}
	r.s.report.alarm(ctx, event.AlarmUnseen, r.m.Value.VM.Name, why)
}

// detachFilter detaches the filter while the job does not run, or does not select the
// VM any more.
func (r *memberRound) detachFilter(ctx context.Context) error {
	const nowhere = "nowhere"
	r.alarmUncaught(ctx, "")
	if r.c.last(r.group).filter.to == nowhere {
		return nil
	}
	err := r.askTap(ctx, nowhere, api.TapRequest{})
	if cdp.Is(err, cdp.NotFound) {
		return nil // the VM or its job is gone, and the filter with it
	}
	return err
}

// askTap asks the source to attach or detach the filter.
func (r *memberRound) askTap(ctx context.Context, to string, req api.TapRequest) error {
	req.Group, req.VM = r.group, r.m.Value.VM.UUID
	// Until it is done, the filter's state is unknown: the source continues the work
	// whatever is wanted by then.
	r.c.note(r.group, func(a *applied) { a.filter.to = "" })
	p, err := r.s.peer.Tap(ctx, r.job.SourceSite, req)
	if err != nil {
		return err
	}
	if p.Done {
		r.c.note(r.group, func(a *applied) { a.filter.to, a.filter.at, a.filter.silent = to, r.s.clock.Now(), time.Time{} })
	} else {
		r.c.bell.Ring()
	}
	return nil
}

// untap detaches the filter of a member that leaves, if the source can be asked. note
// says what could not be done.
func (s *jobControl) untap(ctx context.Context, job spec.VMJob, m inventory.Member) (note string) {
	for {
		p, err := s.peer.Tap(ctx, job.SourceSite, api.TapRequest{Group: cdp.GroupID(m.Group), VM: m.VM.UUID})
		switch {
		case err != nil && !cdp.Is(err, cdp.NotFound):
			return fmt.Sprintf("the I/O filter is still attached to %s: the source site was asked to detach it, but %s", m.VM.Name, err)
		case err != nil || p.Done:
			return ""
		}
		if ctx.Err() != nil {
			return ctx.Err().Error()
		}
	}
}
