package vcenter

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// tapped is what is known of a member whose I/O filter is to tell its writes,
// since this process began.
type tapped struct {
	to     string          // where the filter was told to send, once that was done
	at     time.Time       // when it was
	power  inventory.Power // the VM's
	unseen string          // why its writes are not told, as it was alarmed
	silent time.Time       // since when the filter is attached and tells nothing
	again  bool            // it is attached, and has to be detached first
	mended time.Time       // when it was last attached once more,
	pause  time.Duration   // and how long it is not after that
}

// unseen is the state of a capture group that waits for its filters.
const unseen = event.NeedsResync

// tap lets the I/O filter send the VM's writes to capture, once that listens,
// and sees to it that it does: a change of the VM's storage policy takes the
// filter off, and a host's filter may find no way to capture. Then it is attached
// again, and somebody is told.
func (r *round) tap(ctx context.Context, m *member) error {
	group := cdp.GroupID(m.Value.Group)
	c, err := r.s.deps.Capture.Status(ctx, r.job.SourceSite, group)
	if cdp.Is(err, cdp.NotFound) || cdp.Is(err, cdp.Transient) || err == nil && len(c.Exports) < len(m.Value.Disks) {
		return nil // not yet: the next look
	}
	if err != nil {
		return err
	}
	disks := map[int32]string{}
	for i, d := range m.Value.Disks {
		disks[d.Disk.Key] = c.Exports[i]
	}
	to := fmt.Sprint(c.Exports)
	t := r.told(group).taps
	why := ""
	if i := slices.IndexFunc(r.reply.VMs, func(v inventory.VM) bool { return v.UUID == m.Value.VM.UUID }); i >= 0 {
		why = r.judge(&t, to, r.reply.VMs[i], m.Value, c)
	}
	r.tell(group, func(x *told) { x.taps = t })
	if t.to != to {
		err = r.askTap(ctx, m, to, api.TapRequest{Attach: true, Disks: disks, Again: t.again})
		if err != nil && c.State == unseen && t.power != inventory.PoweredOff {
			why = err.Error()
		}
	}
	r.tellUnseen(ctx, m.Value, why)
	return err
}

// judge says why nobody tells the VM's writes; empty: they are told, or need not
// be. It has the filter attached once more if it was found detached, or is
// attached and silent for too long: less and less often while that happens.
func (r *round) judge(t *tapped, to string, v inventory.VM, m inventory.Member, c api.CaptureGroup) (why string) {
	now := r.s.deps.Clock.Now()
	t.power = v.Power
	detached := r.detached(v, m) && r.asked.After(t.at) // what was asked for before says nothing of it
	switch {
	case t.to != to:
		return t.unseen // it is being attached
	case detached:
		why = "its I/O filter was found detached"
		t.again = false
	case c.State != unseen || v.Power != inventory.PoweredOn:
		t.silent = time.Time{}
		if now.Sub(t.mended) >= t.pause {
			t.pause = 0
		}
		return ""
	case t.silent.IsZero():
		t.silent = now
		return t.unseen
	case now.Sub(t.silent) < r.s.cfg.TapWait:
		return t.unseen
	default:
		why = "its I/O filter is attached, but tells no writes"
		if c.Reason != "" {
			why += ": " + c.Reason
		}
		t.again = true
	}
	if now.Sub(t.mended) >= t.pause {
		t.to, t.mended = "", now
		t.pause = min(max(2*t.pause, r.s.cfg.TapWait), 10*r.s.cfg.Retry)
	}
	return why
}

// detached: the filter does not see every disk of the VM.
func (r *round) detached(v inventory.VM, m inventory.Member) bool {
	return slices.ContainsFunc(m.Disks, func(d inventory.MemberDisk) bool {
		i := slices.IndexFunc(v.Hardware.Disks, func(x inventory.Disk) bool { return x.Key == d.Disk.Key })
		return i >= 0 && !slices.ContainsFunc(v.Hardware.Disks[i].Filters, func(id string) bool { return inventory.SameFilter(id, r.job.Job.Source.Filter) })
	})
}

// tellUnseen raises an alarm when it begins that a VM's writes are not told, for
// another reason, or is over.
func (r *round) tellUnseen(ctx context.Context, m inventory.Member, why string) {
	group := cdp.GroupID(m.Group)
	had := r.told(group).taps.unseen
	if had == why {
		return
	}
	r.tell(group, func(t *told) { t.taps.unseen = why })
	if why == "" {
		why = "its writes are told again, or need not be"
	}
	r.s.alarm(ctx, event.AlarmUnseen, m.VM.Name, why)
}

// untap ends that while the job does not run, or does not mean the VM any more.
func (r *round) untap(ctx context.Context, m *member) error {
	const nowhere = "nowhere"
	r.tellUnseen(ctx, m.Value, "")
	if r.told(cdp.GroupID(m.Value.Group)).taps.to == nowhere {
		return nil
	}
	err := r.askTap(ctx, m, nowhere, api.TapRequest{})
	if cdp.Is(err, cdp.NotFound) {
		return nil // with the VM or its job it is over
	}
	return err
}

// askTap asks the source.
func (r *round) askTap(ctx context.Context, m *member, to string, req api.TapRequest) error {
	req.Group, req.VM = cdp.GroupID(m.Value.Group), m.Value.VM.UUID
	// Until it is done nobody knows what the filter sees: it goes on at the source
	// whatever is wanted by then.
	r.tell(req.Group, func(t *told) { t.taps.to = "" })
	p, err := r.s.deps.Peer.Tap(ctx, r.job.SourceSite, req)
	if err != nil {
		return err
	}
	if p.Done {
		r.tell(req.Group, func(t *told) { t.taps.to, t.taps.at, t.taps.silent = to, r.s.deps.Clock.Now(), time.Time{} })
	} else {
		r.c.wake()
	}
	return nil
}

// untap ends that, as far as the source can be asked; the text tells what
// could not.
func (s *Service) untap(ctx context.Context, job spec.VMJob, m inventory.Member) string {
	for {
		p, err := s.deps.Peer.Tap(ctx, job.SourceSite, api.TapRequest{Group: cdp.GroupID(m.Group), VM: m.VM.UUID})
		switch {
		case err != nil && !cdp.Is(err, cdp.NotFound):
			return fmt.Sprintf("the I/O filter still sees %s: the source site was asked to end that, but %s", m.VM.Name, err)
		case err != nil || p.Done:
			return ""
		}
		if ctx.Err() != nil {
			return ctx.Err().Error()
		}
	}
}
