package failoverrun_test

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// The loss is stated as far as it is known. What a VM that is read from snapshots
// wrote after the last one is unknown. A run that was taken back loses nothing.
func TestLossInWords(t *testing.T) {
	seq := func(n cdp.Seq) *cdp.Seq { return &n }
	for _, c := range []struct {
		name string
		s    failoverrun.Run
		want string
		not  string
	}{
		{"planned", failoverrun.Run{Request: failoverrun.Request{Planned: true}, Captured: seq(50)}, "no write is lost", ""},
		{"planned, and it wrote on", failoverrun.Run{Request: failoverrun.Request{Planned: true}, Captured: seq(60)}, "10 writes, made after the source was drained", ""},
		{"not planned", failoverrun.Run{Captured: seq(60)}, "10 writes the source had captured; the point is 1m0s older", ""},
		{"planned, from snapshots", failoverrun.Run{Request: failoverrun.Request{Planned: true}, Captured: seq(50), Snapshots: true},
			"what the VM wrote after its last snapshot: nothing, if it was off by then; the point is 1m0s older", "no write is lost"},
		{"from snapshots", failoverrun.Run{Captured: seq(50), Snapshots: true}, "what the VM wrote after the snapshot of this point; the point is 1m0s older", "every write"},
		{"from snapshots, and the source is silent", failoverrun.Run{Snapshots: true}, "what the VM wrote after the snapshot of this point; the point", ""},
		{"a test", failoverrun.Run{Request: failoverrun.Request{Mode: recovery.Test}, Captured: seq(60)}, "", "writes"},
		{"undone", failoverrun.Run{Captured: seq(60), Phase: recovery.Undone}, "", "writes"},
		{"failed and reversed", failoverrun.Run{Captured: seq(60), Phase: recovery.Failed, Goal: recovery.Back}, "", "writes"},
	} {
		c.s.Resolved = &api.Resolved{Seq: 50, Time: t0}
		c.s.HaltedAt = t0.Add(time.Minute)
		if got := c.s.Loss(); !strings.Contains(got, c.want) || c.not != "" && strings.Contains(got, c.not) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
