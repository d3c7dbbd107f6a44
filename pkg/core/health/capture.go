package health

import (
	"cmp"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
)

// judgeCapture adds what capture says, or that it says nothing.
func (g *Group) judgeCapture(f Facts) {
	site, c := string(f.Job.Source.Site), f.Capture
	log := "see the log of capture at site " + site
	switch {
	case f.CaptureErr != nil && cdp.Is(f.CaptureErr, cdp.Transient):
		g.worsen(Unknown)
		g.problem(siteLost(f), "site %s does not answer: is it, or the link to it, down?", site)
	case f.CaptureErr != nil:
		g.worsen(Unknown)
		g.problem(cdp.HintOf(f.CaptureErr), "site %s: %v", site, f.CaptureErr)
	case c == nil && f.Refused != nil:
		g.refused = true
		g.worsen(NoData)
		g.problem(cmp.Or(f.Refused.Hint, log), "the job is not captured at site %s%s", site, because(f.Refused.Reason))
	case c == nil:
		g.worsen(NoData)
		g.problem(log, "the job is not captured at site %s", site)
	case f.Job.Source.Capture == cdp.CBT && c.Reason != "" && (c.State == event.Replicating || c.State == event.Resyncing):
		g.worsen(NoNewPoints)
		g.problem(cmp.Or(c.Hint, "it is retried automatically; "+log), "the last cycle failed: there are no new recovery points until one succeeds%s", because(c.Reason))
	default:
		g.judgeCaptureState(f, log)
	}
}

// judgeCaptureState adds what the state of the group's capture means.
func (g *Group) judgeCaptureState(f Facts, log string) {
	c := f.Capture
	if f.firstCopy() {
		g.judgeFirstCopy(f)
		return
	}
	switch c.State {
	case event.Replicating:
		if c.Reason != "" {
			g.worsen(Failed)
			g.problem(cmp.Or(c.Hint, log), "the job's last change was not applied%s", because(c.Reason))
		}
	case event.Seeding:
		g.judgeFirstCopy(f)
	case event.Resyncing:
		if f.Job.Source.Capture == cdp.CBT {
			return // a normal cycle
		}
		g.worsen(Resyncing)
		g.Copy = copyOf(*c, f.Now)
		do := "wait"
		if f.recoverable() {
			do = "wait; older points can still be recovered"
		}
		g.problem(do, "changed blocks are being sent again, and there are no new recovery points until that is complete%s%s", g.Copy.text(), because(c.Reason))
	case event.NeedsResync:
		if f.NeedsMember() {
			g.judgeUnseen(f)
			return
		}
		g.worsen(Resyncing)
		g.problem("is tidemark tap attach running? It copies again by itself: tidemark tap attach "+f.Job.Name+" --disk NAME --qmp SOCKET --device NODE", "the tap missed writes%s", because(c.Reason))
	case event.Overflow:
		g.worsen(Late)
		g.problem("check the network to the target, and its disk", "writes come faster than they can be sent%s", because(c.Reason))
	default:
		g.worsen(Failed)
		g.problem(log, "capture is %s%s", c.State, because(c.Reason))
	}
}

// judgeFirstCopy is for a job that has no point until all its disks are copied.
func (g *Group) judgeFirstCopy(f Facts) {
	c := f.Capture
	g.worsen(Seeding)
	g.Copy = copyOf(*c, f.Now)
	do := cmp.Or(c.Hint, "wait until it is complete")
	if f.Job.Source.Capture == cdp.Tap && f.Job.Source.VM == "" && c.State == event.Seeding {
		do = "attach the VM's disks: tidemark tap attach " + f.Job.Name + " --disk NAME --qmp SOCKET --device NODE"
	}
	what := "the first copy is not complete, and nothing can be recovered until it is"
	if f.recoverable() {
		what = "a full copy is not complete, and there are no new recovery points until it is"
	} else if c.State == event.Replicating {
		what = "the first copy is complete at the source, and the rest of it is on its way to the target"
	}
	g.problem(do, "%s%s%s", what, g.Copy.text(), because(c.Reason))
}

// siteLost is what to do if a source site that does not answer is lost: nothing
// where there is nothing to recover, or a failover is in progress.
func siteLost(f Facts) string {
	const lost = "if the site is lost: "
	switch r := f.Failover; {
	case !f.recoverable() || f.production():
		return ""
	case r != nil && !r.Over():
		return lost + "tidemark failover cleanup " + f.Job.Name + ", then tidemark failover " + f.Job.Name + " --mode production"
	}
	return lost + "tidemark failover " + f.Job.Name + " --mode production"
}

// judgeUnseen is for a VM whose writes nobody reports. While it is off there are
// none, so that the age of its newest point is no loss.
func (g *Group) judgeUnseen(f Facts) {
	why := f.Capture.Reason
	if m := f.Member; m != nil && m.Power == inventory.PoweredOff {
		if g.State == Protected || g.State == Late || g.State == Failed {
			g.State = PoweredOff
		}
		g.problem("", "the VM is powered off and writes nothing: the next recovery point is made when it is on again; the newest one holds what its I/O filter had reported%s", because(why))
		return
	} else if m != nil && m.Unseen != "" {
		why = m.Unseen
	}
	if g.State == Protected || g.State == Resyncing {
		g.State = NotCaptured
	}
	g.problem("it is attached again automatically; check the filter on the VM's host: tidemark iofilter status --site "+string(f.Job.Source.Site),
		"the I/O filter does not report the VM's writes, so there are no new recovery points%s", because(why))
}
