package health

import (
	"fmt"
	"time"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/failoverrun"
)

// ScratchText says in words how far a run's disks, which x serves, are from their limit, and when they
// reach it if writes go on as so far; empty if they have none.
func ScratchText(r failoverrun.Run, x api.Export, now time.Time) string {
	if x.Limit == 0 {
		return ""
	}
	text := fmt.Sprintf("%s of the limit of %s taken", BytesText(x.Taken), BytesText(x.Limit))
	left, since := x.Limit-x.Taken, now.Sub(r.UsableAt)
	switch {
	case left < x.Limit/100:
		return text + ": it is full, and further writes fail"
	case x.Taken <= 0 || r.UsableAt.IsZero() || since <= 0:
		return text
	}
	full := float64(left) / float64(x.Taken) * float64(since)
	if full > float64(maxForecast) {
		return text
	}
	return text + ", full in about " + DurationText(time.Duration(full).Round(time.Second)) + " at the pace so far"
}

// maxForecast is as far ahead as a pace says anything.
const maxForecast = 30 * 24 * time.Hour
