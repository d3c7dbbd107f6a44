package health

import (
	"fmt"
	"time"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/rpo"
)

// Group is the verdict on a group.
type Group struct {
	Job string `json:"job"` // the group's own
	// Of is the job on VMs that the group's VM belongs to; empty: none.
	Of        string            `json:"of,omitempty"`
	State     State             `json:"state"`
	RPO       string            `json:"rpo"` // now, in words
	Objective string            `json:"objective"`
	History   string            `json:"history"` // kept of what is to be kept
	Problems  []Problem         `json:"problems,omitempty"`
	Journal   *api.GroupStatus  `json:"journal,omitempty"`
	Capture   *api.CaptureGroup `json:"capture,omitempty"`
	Failover  *failoverrun.Run  `json:"failover,omitempty"`
	Measured  *rpo.Record       `json:"measured,omitempty"`
}

// silent is the age from which on a measurement says nothing about now.
const silent = 5 * time.Second

const noData = "no data"

// Judge says how well a group is protected.
func Judge(f Facts) Group {
	g := Group{Job: f.Job.Name, Of: f.Job.Of, Objective: f.Job.RPO.String(), RPO: rpoText(f.RPO, f.Now), History: noData,
		Journal: f.Journal, Capture: f.Capture, Failover: f.Failover, Measured: f.RPO}
	if j := f.Journal; j != nil && j.Newest != nil && j.Oldest != nil {
		g.History = fmt.Sprintf("%s of %s", DurationText(j.Newest.Time.Sub(j.Oldest.Time)), f.Job.Journal.History)
	}
	if !f.Running {
		g.State, g.RPO = Stopped, noData
		g.problem("tidemark job run "+f.Job.Name, "the job is not running: no recovery points are made")
		g.judgeFailover(f)
		return g
	}
	g.judgeRPO(f)
	g.judgeJournal(f)
	g.judgeCapture(f)
	g.judgeFailover(f)
	return g
}

// judgeRPO sets the state that the RPO monitor's record gives.
func (g *Group) judgeRPO(f Facts) {
	const monitor = "is the service rpo-monitor running at the target? see its log"
	r := f.RPO
	switch {
	case r == nil || r.Status == "":
		g.State = NoData
		g.problem(monitor, "the RPO has never been measured")
	case f.Now.Sub(r.At) > silent:
		g.State = Unknown
		g.problem(monitor, "the RPO was last measured %s ago", DurationText(f.Now.Sub(r.At)))
	case r.Status == rpo.NoData && f.Journal != nil && f.Journal.Newest != nil:
		g.State = NoData
		g.problem("wait a moment, unless a failover is named below", "the RPO is not measured now")
	case r.Status == rpo.NoData:
		g.State = NoData
		g.problem("", "there is no recovery point yet: nothing can be recovered")
	case r.Status == rpo.Failed:
		g.State = Failed
		g.problem("", "the RPO is above %s, the limit at which the job counts as failed", f.Job.FailIfRPOExceeds)
	case r.Status == rpo.Breached:
		g.State = Late
		g.problem("", "the RPO has been above its objective since %s", TimeText(r.Since))
	default:
		g.State = Protected
	}
}

// problem adds a problem and what to do about it.
func (g *Group) problem(do, format string, args ...any) {
	g.Problems = append(g.Problems, Problem{fmt.Sprintf(format, args...), do})
}

// worsen makes st the state of a group that seemed protected, or gives the reason
// of one without data.
func (g *Group) worsen(st State) {
	if g.State == Protected || g.State == NoData && (st == Seeding || st == Resyncing) {
		g.State = st
	}
}
