package health_test

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/health"
)

func TestWhenATestsScratchIsFull(t *testing.T) {
	since := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	run := failoverrun.Run{UsableAt: since}
	for want, x := range map[string]api.Export{
		"":                               {Taken: 5 << 20},
		"0 B of the limit of 20 MiB":     {Limit: 20 << 20},
		"full in about 3h0m at the pace": {Limit: 20 << 20, Taken: 5 << 20},
		"4.0 KiB of the limit":           {Limit: 20 << 30, Taken: 4 << 10}, // in years
		"full, and further writes fail":  {Limit: 20 << 20, Taken: 20 << 20},
		"is full, and further writes fa": {Limit: 20 << 20, Taken: 20<<20 - 8<<10},
	} {
		got := health.ScratchText(run, x, since.Add(time.Hour))
		if !strings.Contains(got, want) || want == "" && got != "" || strings.Contains(got, "full") != strings.Contains(want, "full") {
			t.Errorf("%+v: %q, want %q", x, got, want)
		}
	}
	if got := health.ScratchText(run, api.Export{Limit: 20 << 20, Taken: 5 << 20}, since.Add(-time.Hour)); strings.Contains(got, "about") {
		t.Errorf("after a step of the clock: %q", got)
	}
}
