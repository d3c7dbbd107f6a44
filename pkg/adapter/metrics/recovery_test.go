package metrics

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/plan"
)

// What waits for somebody is a number that is 1: a test that is not cleaned up, a
// production failover that is neither committed nor undone, a plan that failed. When a
// plan was last tested is reported for as long as one of its kept runs says so.
func TestWhatWaitsForSomebodyIsReported(t *testing.T) {
	s := listen(t)
	s.Failovers("dr", answer([]failoverrun.Run{
		{Request: failoverrun.Request{Job: "db", Mode: recovery.Test}, Phase: recovery.Usable},
		{Request: failoverrun.Request{Job: "web", Mode: recovery.Production}, Phase: recovery.Committed, TestPassed: time.Unix(120, 0)},
		{Request: failoverrun.Request{Job: "mail", Mode: recovery.Production}, Phase: recovery.Ready},
	}))
	run := func(mode recovery.Mode, phase plan.Phase, from, to int64) plan.Run {
		return plan.Run{Request: plan.Request{Plan: "shop", Mode: mode}, Phase: phase, StartedAt: time.Unix(from, 0), EndedAt: time.Unix(to, 0)}
	}
	old := []plan.Run{run(recovery.Test, plan.Succeeded, 100, 160), run(recovery.Test, plan.Failed, 300, 320), run(recovery.Test, plan.Succeeded, 200, 230)}
	going := plan.Run{Request: plan.Request{Plan: "shop", Mode: recovery.Production}, Phase: plan.Running, StartedAt: time.Unix(400, 0)}
	remove := s.Plans("dr", func(context.Context) ([]plan.Run, []plan.Run, error) { return []plan.Run{going}, old, nil })
	failovers := []string{
		`last_test_success_timestamp_seconds{replication_job="web",site="dr"} 120`,
		`cleanup_pending{replication_job="db",site="dr"} 1`, `failover_running{replication_job="db",site="dr"} 0`, `failover_failed{replication_job="db",site="dr"} 0`,
		`cleanup_pending{replication_job="web",site="dr"} 0`, `failover_running{replication_job="web",site="dr"} 0`, `failover_failed{replication_job="web",site="dr"} 0`,
		`cleanup_pending{replication_job="mail",site="dr"} 0`, `failover_running{replication_job="mail",site="dr"} 1`, `failover_failed{replication_job="mail",site="dr"} 0`,
	}
	expect(t, s, append([]string{
		`plan_running{plan="shop",site="dr"} 1`, `plan_failed{plan="shop",site="dr"} 0`, `plan_run_duration_seconds{plan="shop",site="dr"} 20`,
		`plan_last_run_timestamp_seconds{plan="shop",site="dr"} 320`, `plan_last_test_success_timestamp_seconds{plan="shop",site="dr"} 230`,
	}, failovers...)...)
	remove()
	s.Plans("dr", func(context.Context) ([]plan.Run, []plan.Run, error) {
		last := run(recovery.Production, plan.Failed, 500, 501)
		last.Actions = []plan.Record{{Name: "db", BegunAt: time.Unix(500, 0), EndedAt: time.Unix(501, 0)}, {Name: "web"}} // web never began
		return []plan.Run{last}, nil, nil
	})
	expect(t, s, append([]string{
		`plan_running{plan="shop",site="dr"} 0`, `plan_failed{plan="shop",site="dr"} 1`, `plan_run_duration_seconds{plan="shop",site="dr"} 1`,
		`plan_action_duration_seconds{action="db",plan="shop",site="dr"} 1`,
		`plan_last_run_timestamp_seconds{plan="shop",site="dr"} 501`,
	}, failovers...)...)
}
