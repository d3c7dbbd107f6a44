package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/rpo"
	"tidemark.dev/services/scheduler"
)

// The states of a job. It is protected only when everything says so.
const (
	stProtected   = "protected"
	stNotRunning  = "stopped"
	stNoData      = "no data"
	stNoPoints    = "no new points"
	stLate        = "RPO breached"
	stFailed      = "failed"
	stSeeding     = "seeding"
	stResyncing   = "resyncing"
	stFailedOver  = "failed over"
	stFailingOver = "failing over"
	stUnseen      = "not captured"
	stOff         = "powered off"
	stUnknown     = "unknown"
)

// silent is when a word of the monitor is too old to stand.
const silent = 5 * time.Second

// judge says how a job stands. It is pure: no clock, no bus.
func judge(f facts) health {
	name := f.job.Name
	h := health{Job: name, Objective: f.job.RPO.String(), RPO: rpoText(f.rpo, f.now), Journal: f.journal, Capture: f.capture, Failover: f.failover, Measured: f.rpo}
	h.History = "no data"
	if j := f.journal; j != nil && j.Newest != nil && j.Oldest != nil {
		h.History = fmt.Sprintf("%s of %s", round(j.Newest.Time.Sub(j.Oldest.Time)), f.job.Journal.History)
	}
	bad := func(do, format string, args ...any) {
		h.Problems = append(h.Problems, problem{fmt.Sprintf(format, args...), do})
	}
	if f.run == nil || f.run.Desired != scheduler.Running {
		h.State, h.RPO = stNotRunning, "no data"
		bad("tidemark job run "+name, "the job is not running: no recovery points are made")
		failoverState(f, &h)
		return h
	}
	switch {
	case f.rpo == nil || f.rpo.Status == "":
		h.State = stNoData
		bad("is the service rpo-monitor running at the target? see its log", "the RPO was never measured")
	case f.now.Sub(f.rpo.At) > silent:
		h.State = stUnknown
		bad("is the service rpo-monitor running at the target? see its log", "the RPO was last measured %s ago", round(f.now.Sub(f.rpo.At)))
	case f.rpo.Status == rpo.NoData && f.journal != nil && f.journal.Newest != nil:
		h.State = stNoData
		bad("wait a moment, unless a failover is named below", "the RPO is not measured now")
	case f.rpo.Status == rpo.NoData:
		h.State = stNoData
		bad("", "there is no recovery point yet: nothing can be recovered")
	case f.rpo.Status == rpo.Failed:
		h.State = stFailed
		bad("", "the RPO is beyond %s, from which on the job counts as failed", f.job.FailIfRPOExceeds)
	case f.rpo.Status == rpo.Breached:
		h.State = stLate
		bad("", "the RPO has been worse than promised since %s", clockText(f.rpo.Since))
	default:
		h.State = stProtected
	}
	journalProblems(f, &h, bad)
	captureProblems(f, &h, bad)
	failoverState(f, &h)
	return h
}

func journalProblems(f facts, h *health, bad func(do, format string, args ...any)) {
	j := f.journal
	switch {
	case f.journalErr != nil:
		h.worse(stUnknown)
		bad("start the service journal at the target site; what is on disk is safe", "the journal does not answer: %v", f.journalErr)
		return
	case j == nil:
		h.worse(stNoData)
		bad("", "the journal has received nothing of this job yet")
		return
	}
	switch j.State {
	case event.JournalEmpty, event.JournalReceiving, event.JournalWaiting:
	case event.JournalHalted:
		h.State = stFailedOver
	case event.JournalSealed:
		h.State = stFailedOver
		bad("stop it with: tidemark job stop "+f.job.Name+"; replicate the disks that run now with a new job", "the replica was made the disk: this job is over")
	case event.JournalLinkDown:
		h.worse(stLate)
		bad("check the network to site "+string(f.job.Source.Site), "the source site cannot be reached%s", because(j.Reason))
	case event.JournalFull:
		h.worse(stFailed)
		bad("make room on the journal's disk, or raise journal.size", "the journal is full%s", because(j.Reason))
	default:
		h.worse(stFailed)
		bad("see the log of the journal at the target", "the journal is %s%s", j.State, because(j.Reason))
	}
	cycle := f.job.Source.Capture == cdp.CBT && j.Newest != nil // between two of its points, as always
	if !j.Consistent && j.Frame > 0 && !cycle && !f.unseen() && !j.State.Stopped() {
		h.worse(stResyncing)
		bad("wait; older points stay recoverable", "a seed or resync is under way: no new recovery points meanwhile")
	}
	if j.Limit > 0 && j.Bytes > j.Limit/10*9 {
		bad("raise journal.size, or expect less history", "the journal has used %s", h.size())
	}
	if j.ClockBound > 0 && j.ClockOffset.Abs() > 2*time.Second {
		bad("set the clocks (NTP); recovery points are right, their times are corrected", "the source's clock is %s off", round(j.ClockOffset))
	}
}

func captureProblems(f facts, h *health, bad func(do, format string, args ...any)) {
	src := string(f.job.Source.Site)
	c := f.capture
	switch {
	case f.captureErr != nil:
		h.worse(stUnknown)
		do := "if the site is lost: tidemark failover " + f.job.Name + " --mode production"
		if cdp.Is(f.captureErr, cdp.Transient) {
			bad(do, "site %s does not answer: is it, or the link to it, down?", src)
		} else {
			bad("", "site %s: %v", src, f.captureErr)
		}
		return
	case c == nil && f.refused != nil:
		h.worse(stNoData)
		bad(cmp.Or(f.refused.Hint, "see the log of capture at site "+src), "the job is not captured at site %s%s", src, because(f.refused.Reason))
		return
	case c == nil:
		h.worse(stNoData)
		bad("see the log of capture at site "+src, "the job is not captured at site %s", src)
		return
	}
	if f.job.Source.Capture == cdp.CBT && c.Reason != "" && (c.State == event.Replicating || c.State == event.Resyncing) {
		h.worse(stNoPoints)
		bad(cmp.Or(c.Hint, "it is tried again by itself; see the log of capture at site "+src), "the last cycle failed, and no new recovery point is made until one goes well%s", because(c.Reason))
		return
	}
	switch c.State {
	case event.Replicating:
		if c.Reason != "" { // what its job says now could not be done
			h.worse(stFailed)
			bad(cmp.Or(c.Hint, "see the log of capture at site "+src), "the job's last change was not taken over%s", because(c.Reason))
		}
	case event.Seeding:
		h.worse(stSeeding)
		do := cmp.Or(c.Hint, "wait until it is done")
		if f.job.Source.Capture == cdp.Tap && f.job.Source.VM == "" {
			do = "attach the VM's disks: tidemark tap attach " + f.job.Name + " --disk NAME --qmp SOCKET --device NODE"
		}
		bad(do, "the first copy is not complete%s%s", progressText(*c, f.now), because(c.Reason))
	case event.Resyncing:
		if f.job.Source.Capture == cdp.CBT {
			return // a cycle like any
		}
		h.worse(stResyncing)
		bad("wait; older points stay recoverable", "changed blocks are being sent again%s%s", progressText(*c, f.now), because(c.Reason))
	case event.NeedsResync:
		if f.unseen() {
			unseenVM(f, h, bad)
			return
		}
		h.worse(stResyncing)
		bad("copy again: tidemark tap attach "+f.job.Name+" ...", "the tap missed writes%s", because(c.Reason))
	case event.Overflow:
		h.worse(stLate)
		bad("check the network to the target, and its disk", "writes come faster than they can be sent%s", because(c.Reason))
	default:
		h.worse(stFailed)
		bad("see the log of capture at site "+src, "capture is %s%s", c.State, because(c.Reason))
	}
}

// unseen: nobody tells the writes of the job's VM.
func (f facts) unseen() bool {
	return f.job.Source.VM != "" && f.capture != nil && f.capture.State == event.NeedsResync
}

// unseenVM: nobody tells the writes of a VM. While it is off there are none, and
// what its RPO grows by is no loss.
func unseenVM(f facts, h *health, bad func(do, format string, args ...any)) {
	why := f.capture.Reason
	if m := f.member; m != nil && m.Power == inventory.PoweredOff {
		if h.State == stProtected || h.State == stLate || h.State == stFailed {
			h.State = stOff
		}
		bad("", "the VM is powered off and writes nothing: the next recovery point is made once it is on; the newest has what its I/O filter told until then%s", because(why))
		return
	} else if m != nil && m.Unseen != "" {
		why = m.Unseen
	}
	if h.State == stProtected || h.State == stResyncing {
		h.State = stUnseen
	}
	bad("it is attached again by itself; is it in order on the VM's host? tidemark iofilter status --site "+string(f.job.Source.Site),
		"the I/O filter does not tell the VM's writes, so there are no new recovery points%s", because(why))
}

func failoverState(f facts, h *health) {
	r := f.failover
	if r == nil || r.Over() && r.Phase != recovery.Committed {
		return
	}
	text, do := fmt.Sprintf("failover run %s (%s): %s", r.ID, r.Mode, r.PhaseText()), r.NextText()
	switch {
	case r.Phase == recovery.Committed:
		h.State = stFailedOver
		return
	case r.Mode == recovery.Production && (r.Phase == recovery.Usable || r.Phase == recovery.Ready):
		h.State = stFailedOver
	case r.Mode == recovery.Production:
		h.State = stFailingOver
	}
	h.Problems = append(h.Problems, problem{text, do})
}

// progressText is how far a copy is, at what rate, and when it will be done.
func progressText(c api.CaptureGroup, now time.Time) string {
	took := now.Sub(c.Since)
	if c.Total <= 0 || c.Since.IsZero() || took < time.Second {
		return ""
	}
	bytes := func(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
	text := fmt.Sprintf(": %s of %s", bytes(c.Done), bytes(c.Total))
	if c.Verified > 0 {
		text += ", " + bytes(c.Verified) + " of it were there already"
	}
	rate := float64(c.Done) / took.Seconds()
	if rate < 1 {
		return text
	}
	left := time.Duration(float64(c.Total-c.Done) / rate * float64(time.Second))
	return text + fmt.Sprintf(", %s/s, %s left", bytes(int64(rate)), left.Round(time.Second))
}

// worse makes st the state of a job that seemed protected.
func (h *health) worse(st string) {
	if h.State == stProtected || h.State == stNoData && (st == stSeeding || st == stResyncing) {
		h.State = st
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
