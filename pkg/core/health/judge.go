package health

import (
	"fmt"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/rpo"
)

// Group is the verdict on a group.
type Group struct {
	Job string `json:"job"` // the group's own
	// Of is the job on VMs that the group's VM belongs to; empty: none.
	Of    string `json:"of,omitempty"`
	State State  `json:"state"`
	Level Level  `json:"level"` // the highest of the state and of every problem
	// RPO is the RPO now in words, with its error; RPOSeconds and RPOErrorSeconds the
	// same as numbers, nil if it is not known.
	RPO              string   `json:"rpo"`
	RPOSeconds       *float64 `json:"rpoSeconds,omitempty"`
	RPOErrorSeconds  *float64 `json:"rpoErrorSeconds,omitempty"` // nil also: the clocks were not measured
	Objective        string   `json:"objective"`
	ObjectiveSeconds float64  `json:"objectiveSeconds"`
	History          string   `json:"history"` // kept of what is to be kept
	// Copy is the first copy, or the resync, in progress; nil: none.
	Copy *Copy `json:"copy,omitempty"`
	// Direction is from where to where it replicates. Reversed is the job that leads back
	// from its committed failover; empty: none does.
	Direction string            `json:"direction"`
	Reversed  string            `json:"reversedBy,omitempty"`
	Problems  []Problem         `json:"problems"`
	Journal   *api.GroupStatus  `json:"journal,omitempty"`
	Capture   *api.CaptureGroup `json:"capture,omitempty"`
	Failover  *failoverrun.Run  `json:"failover,omitempty"`
	Measured  *rpo.Record       `json:"measured,omitempty"`

	refused bool // capture refuses the job
}

const (
	noData = "no data"
	// noneYet is what is not there before the first copy is complete.
	noneYet = "none yet"
)

// Judge says how well a group is protected.
func Judge(f Facts) Group {
	g := Group{Job: f.Job.Name, Of: f.Job.Of, Direction: f.Job.Direction(), Objective: f.Job.RPO.String(), ObjectiveSeconds: f.Job.RPO.Std().Seconds(), History: noData, Problems: []Problem{},
		Journal: f.Journal, Capture: f.Capture, Failover: f.Failover, Measured: f.RPO}
	g.setRPO(f)
	if j := f.Journal; j != nil && j.Newest != nil && j.Oldest != nil {
		g.History = fmt.Sprintf("%s of %s", DurationText(j.Newest.Time.Sub(j.Oldest.Time)), f.Job.Journal.History)
	}
	g.judge(f)
	g.Level = max(g.Level, g.State.level())
	return g
}

// Unreadable is the verdict on a job whose description cannot be read, nor an older
// one. A service that knew the job before goes on with what it knew.
func Unreadable(job string, why error) Group {
	g := Group{Job: job, State: Unknown, RPO: noData, Objective: noData, History: noData}
	g.Level = g.State.level()
	g.problem("apply the job again (tidemark apply -f FILE), or delete it: tidemark delete job "+job, "its stored description cannot be used: %v", why)
	return g
}

// judge finds the state and the problems. What makes other facts meaningless goes
// first, so that they are not held against the job.
func (g *Group) judge(f Facts) {
	switch {
	case f.over():
		g.judgeOver(f)
		return
	case f.Journal != nil && f.Journal.Lock != nil && f.Journal.Lock.Deleted != nil:
		g.State = Stopped
		g.forgetRPO()
		g.problem("to use them, apply it again: tidemark get job "+f.Job.Name+" -o yaml | tidemark apply -f -",
			"the job was deleted; the retention lock keeps its recovery points for another %s", DurationText(f.Journal.Lock.Left))
		return
	case !f.Running:
		g.State = Stopped
		g.forgetRPO()
		if !f.production() {
			g.problem("tidemark job run "+f.Job.Name, "the job is not running: no recovery points are made")
		}
		g.judgeFailover(f)
		return
	case f.starting():
		g.State, g.RPO = Starting, noneYet
		g.problem("wait a moment", "the job was started a moment ago: its first copy has not begun")
		return
	}
	if !f.production() {
		g.judgeRPO(f)
	}
	g.judgeFailover(f) // before the others, whose advice depends on it
	g.judgeJournal(f)
	g.judgeCapture(f)
}

// judgeOver is for a job whose failover was committed.
func (g *Group) judgeOver(f Facts) {
	g.State = FailedOver
	g.forgetRPO()
	if f.Failover != nil {
		g.judgeOwed(*f.Failover)
	}
	if b := f.Back; b != nil {
		g.Reversed = b.Name
		g.note("see: tidemark status "+b.Name+" --site "+string(b.Target.Site), "a failover was committed; the job %s protects the machine now: %s", b.Name, b.Direction())
		return
	}
	do := "tidemark reprotect " + f.Job.Name + ", or to bring the machine home: tidemark failback " + f.Job.Name
	if f.Job.Source.VM != "" {
		do = "protect the VM that runs now with a new job"
	}
	if f.Running {
		do += "; if neither is meant, stop this one: tidemark job stop " + f.Job.Name
	} else {
		do += "; when nobody needs this one's history: tidemark delete job " + f.Job.Name + " --yes"
	}
	g.problem(do, "a failover was committed and the replica is the disk: the machine is not protected")
}

// forgetRPO is for a job that makes no points: what was measured says nothing.
func (g *Group) forgetRPO() { g.RPO, g.RPOSeconds, g.RPOErrorSeconds = noData, nil, nil }

// problem adds a problem and what to do about it.
func (g *Group) problem(do, format string, args ...any) {
	g.Level = max(g.Level, Warning)
	g.note(do, format, args...)
}

// note adds what is worth knowing and is no fault.
func (g *Group) note(do, format string, args ...any) {
	g.Problems = append(g.Problems, Problem{fmt.Sprintf(format, args...), do})
}

// worsen makes st the state of a group that seemed protected, or gives the reason
// of one without data.
func (g *Group) worsen(st State) {
	g.Level = max(g.Level, st.level())
	if g.State == Protected || g.State == Settling || g.State == NoData && (st == Seeding || st == Resyncing) {
		g.State = st
	}
}
