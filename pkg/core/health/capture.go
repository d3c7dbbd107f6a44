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
		g.problem("if the site is lost: tidemark failover "+f.Job.Name+" --mode production", "site %s does not answer: is it, or the link to it, down?", site)
	case f.CaptureErr != nil:
		g.worsen(Unknown)
		g.problem("", "site %s: %v", site, f.CaptureErr)
	case c == nil && f.Refused != nil:
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
	switch c.State {
	case event.Replicating:
		if c.Reason != "" {
			g.worsen(Failed)
			g.problem(cmp.Or(c.Hint, log), "the job's last change was not applied%s", because(c.Reason))
		}
	case event.Seeding:
		g.worsen(Seeding)
		do := cmp.Or(c.Hint, "wait until it is complete")
		if f.Job.Source.Capture == cdp.Tap && f.Job.Source.VM == "" {
			do = "attach the VM's disks: tidemark tap attach " + f.Job.Name + " --disk NAME --qmp SOCKET --device NODE"
		}
		g.problem(do, "the first copy is not complete%s%s", progressText(*c, f.Now), because(c.Reason))
	case event.Resyncing:
		if f.Job.Source.Capture == cdp.CBT {
			return // a normal cycle
		}
		g.worsen(Resyncing)
		g.problem("wait; older points can still be recovered", "changed blocks are being sent again%s%s", progressText(*c, f.Now), because(c.Reason))
	case event.NeedsResync:
		if f.NeedsMember() {
			g.judgeUnseen(f)
			return
		}
		g.worsen(Resyncing)
		g.problem("copy again: tidemark tap attach "+f.Job.Name+" ...", "the tap missed writes%s", because(c.Reason))
	case event.Overflow:
		g.worsen(Late)
		g.problem("check the network to the target, and its disk", "writes come faster than they can be sent%s", because(c.Reason))
	default:
		g.worsen(Failed)
		g.problem(log, "capture is %s%s", c.State, because(c.Reason))
	}
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
