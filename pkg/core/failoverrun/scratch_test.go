package failoverrun_test

import (
	"testing"

	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

// The limit is the one that the job had when the test began. A machine in production has
// none.
func TestOnlyATestHasALimit(t *testing.T) {
	job := failoverrun.Pinned{Spec: spec.ReplicationJob{Name: "web", Failover: spec.Failover{Scratch: 1 << 30}}}
	for mode, want := range map[recovery.Mode]int64{recovery.Test: 1 << 30, recovery.Production: 0} {
		run, _ := failoverrun.Begin(failoverrun.Request{Job: "web", ID: "r", Mode: mode, To: recovery.ToNBD}, job, nil, t0)
		if got := run.ScratchLimit(); got != want {
			t.Errorf("%s: %d, want %d", mode, got, want)
		}
	}
}
