package trigger

import (
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
)

// due is the first time of a schedule after t; zero if its time of day cannot be read.
func due(s spec.Schedule, t time.Time) time.Time {
	at, err := time.Parse("15:04", s.At)
	if err != nil {
		return time.Time{}
	}
	t = t.UTC()
	for day := range 8 {
		x := time.Date(t.Year(), t.Month(), t.Day()+day, at.Hour(), at.Minute(), 0, 0, time.UTC)
		name := strings.ToLower(x.Weekday().String()[:3])
		if x.After(t) && (len(s.Days) == 0 || slices.Contains(s.Days, name)) {
			return x
		}
	}
	return time.Time{}
}

// Guarded are a plan's triggers as they are obeyed: one that would start a production
// run by itself asks first, unless the plan allows it in so many words. Apply refuses
// such a plan; this holds for whatever is stored.
func Guarded(p spec.Plan) []spec.Trigger {
	out := slices.Clone(p.Triggers)
	for i, t := range out {
		if t.Mode == recovery.Production && t.Start == spec.Automatic && !p.AutomaticProductionFailover {
			out[i].Start, out[i].Approvals = spec.AskFirst, 1
		}
	}
	return out
}
