package health

import (
	"time"

	"tidemark.dev/pkg/core/rpo"
)

const (
	// silent is the age from which on a measurement says nothing about now.
	silent = 5 * time.Second
	// grows is the age from which on a measurement is known to have grown.
	grows = 3 * time.Second
)

// rpoNow is the RPO now, and its greatest error. It has grown since a measurement
// that is old. ok is false without one.
func rpoNow(r *rpo.Record, now time.Time) (value, bound time.Duration, ok bool) {
	if r == nil || r.Status == rpo.NoData || r.Status == "" {
		return 0, 0, false
	}
	value = r.Value
	if d := now.Sub(r.At); d > grows {
		value += d
	}
	return value, r.Bound, true
}

// setRPO puts the RPO into words and numbers.
func (g *Group) setRPO(f Facts) {
	value, bound, ok := rpoNow(f.RPO, f.Now)
	if !ok {
		if g.RPO = noData; f.RPO != nil && f.firstCopy() {
			g.RPO = noneYet
		}
		return
	}
	seconds := value.Seconds()
	g.RPO, g.RPOSeconds = DurationText(value)+" (clock not measured)", &seconds
	if bound != 0 {
		e := bound.Seconds()
		g.RPO, g.RPOErrorSeconds = DurationText(value)+" +- "+DurationText(bound), &e
	}
}

// judgeRPO sets the state that the RPO monitor's record gives. A breach is only
// reported beside an RPO that is one.
func (g *Group) judgeRPO(f Facts) {
	const monitor = "is the service rpo-monitor running at the target? see its log"
	r, o := f.RPO, rpo.Objective{RPO: f.Job.RPO.Std(), Fail: f.Job.FailIfRPOExceeds.Std()}
	value, bound, _ := rpoNow(r, f.Now)
	switch {
	case r == nil || r.Status == "":
		g.State = NoData
		g.problem(monitor, "the RPO has never been measured")
	case f.Now.Sub(r.At) > silent:
		g.State = Unknown
		g.problem(monitor, "the RPO was last measured %s ago", DurationText(f.Now.Sub(r.At)))
	case r.Status == rpo.NoData && f.recoverable():
		g.State = NoData
		g.problem("wait a moment", "the RPO is not measured now")
	case r.Status == rpo.NoData:
		g.State = NoData
		if !f.firstCopy() {
			g.problem("", "there is no recovery point yet: nothing can be recovered")
		}
	case !r.Good.IsZero():
		g.State = Settling
		g.problem("wait", "the RPO was above its objective, and is within it again since %s: the breach is over once it has been so for %s",
			TimeText(r.Good), DurationText(o.Settle()))
	case r.Status == rpo.Failed:
		g.State = Failed
		g.problem("", "the RPO%s is above %s, the limit at which the job counts as failed", atWorst(value, bound, o.Fail), f.Job.FailIfRPOExceeds)
	case r.Status == rpo.Breached:
		g.State = Late
		g.problem("", "the RPO%s has been above its objective since %s", atWorst(value, bound, o.RPO), TimeText(r.Since))
	case value+bound > o.RPO+o.Grace() && value > r.Value:
		g.State = Late
		g.problem("", "the RPO is above its objective: it was last measured %s ago", DurationText(f.Now.Sub(r.At)))
	default:
		g.State = Protected
	}
}

// atWorst names the worst case where only the error of the clocks makes it one.
func atWorst(value, bound, limit time.Duration) string {
	if value > limit {
		return ""
	}
	return " may be " + DurationText(value+bound) + " (the clocks are known to within " + DurationText(bound) + ") and so"
}
