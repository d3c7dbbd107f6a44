package health

import (
	"cmp"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// clockSkew is the clock error that is worth an operator's attention.
const clockSkew = 2 * time.Second

// judgeJournal adds what the journal says, or that it says nothing.
func (g *Group) judgeJournal(f Facts) {
	j := f.Journal
	switch {
	case f.JournalErr != nil:
		g.worsen(Unknown)
		g.problem("start the service journal at the target site; what is on disk is safe", "the journal does not answer: %v", f.JournalErr)
		return
	case j == nil:
		g.worsen(NoData)
		if f.firstCopy() {
			return
		}
		g.problem("", "the journal has not received anything of this job yet")
		return
	}
	switch j.State {
	case event.JournalEmpty, event.JournalReceiving, event.JournalWaiting:
	case event.JournalHalted:
		if g.State != FailingOver {
			g.State = FailedOver
		}
	case event.JournalLinkDown:
		g.worsen(Late)
		g.problem("check the network to site "+string(f.Job.Source.Site), "the source site cannot be reached%s", because(j.Reason))
	case event.JournalFull:
		g.worsen(Failed)
		g.problem("free space on the journal's disk, or raise journal.size", "the journal is full%s", because(j.Reason))
	default:
		g.worsen(Failed)
		g.problem(cmp.Or(j.Hint, "see the log of the journal at the target"), "the journal is %s%s", j.State, because(j.Reason))
	}
	if j.Stuck != nil && !j.State.Stopped() {
		g.worsen(Failed)
		g.problem(cmp.Or(j.Stuck.Hint, "see the log of the journal at the target"),
			"the replica does not follow, and old history is not dropped: %s; points can be exported, and not moved to the replica", j.Stuck.Text)
	}
	if j.Unserved != nil {
		g.problem(j.Unserved.Hint, "an export that should be open is not served: %s", j.Unserved.Text)
	}
	if j.Signature != nil {
		g.problem(j.Signature.Hint, "%s", j.Signature.Text)
	}
	if j.Damage != "" {
		g.problem("export what is needed from a point that still opens; then stop and delete the job, move its replica's files out of the way, and apply it again",
			"stored data is damaged: %s; points that need it cannot be read there", j.Damage)
	}
	for _, l := range j.Losses {
		g.problem("nothing to repair: the source sends again what the journal lacks; choose another point", "%s", l)
	}
	cycle := f.Job.Source.Capture == cdp.CBT && j.Newest != nil // incomplete between two points, as it must be
	if !j.Consistent && j.Frame > 0 && !cycle && !f.NeedsMember() && !j.State.Stopped() && !f.firstCopy() && !f.resyncing() {
		g.worsen(Resyncing)
		g.problem("wait; older points can still be recovered", "a seed or resync is in progress: there are no new recovery points until it is complete")
	}
	if j.Limit > 0 && j.Bytes > j.Limit/10*9 {
		g.problem("raise journal.size, or accept a shorter history", "the journal has used %s", g.JournalSize())
	}
	if j.ClockBound > 0 && j.ClockOffset.Abs() > clockSkew {
		g.problem("set the clocks (NTP); recovery points are right, and their times are corrected", "the source's clock is %s off", DurationText(j.ClockOffset))
	}
}

// judgeFailover adds the failover run that holds the group.
func (g *Group) judgeFailover(f Facts) {
	r := f.Failover
	if r == nil {
		return
	}
	g.judgeOwed(*r)
	if r.Over() {
		return
	}
	switch {
	case r.Mode == recovery.Production && (r.Phase == recovery.Usable || r.Phase == recovery.Ready):
		g.State = FailedOver
		g.forgetRPO()
	case r.Mode == recovery.Production:
		g.State = FailingOver
		g.forgetRPO()
	}
	say := g.problem
	if r.Mode == recovery.Test && r.Phase != recovery.Failed {
		say = g.note
	}
	text := r.PhaseText()
	if ends := r.WindowText(); ends != "" {
		text += "; " + ends
	}
	say(r.NextText(), "failover run %s (%s): %s", r.ID, r.Mode, text)
}

// judgeOwed adds what a failover still owes at a source that did not answer.
func (g *Group) judgeOwed(r failoverrun.Run) {
	if _, owed := r.Owed(); owed {
		g.problem("nothing if the site is lost; if it is only cut off, see that the VM there is off until this is done", "%s", r.OldText())
	}
}
