package metrics

import "github.com/prometheus/client_golang/prometheus"

// labels of every metric of a job: the site that the process serves, and the job.
// Prometheus has a label "job" of its own. Those of a plan have the plan.
var labels, planLabels = []string{"site", "replication_job"}, []string{"site", "plan"}

func desc(name, help string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc("tidemark_"+name, help, append(labels[:2:2], more...), nil)
}

func planDesc(name, help string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc("tidemark_plan_"+name, help, append(planLabels[:2:2], more...), nil)
}

// The names are fixed: rules and dashboards of operators use them.
var (
	rpoSeconds       = desc("rpo_seconds", "What would be lost if the source died now: the age of the newest durable recovery point.")
	rpoBound         = desc("rpo_error_bound_seconds", "The greatest error of tidemark_rpo_seconds.")
	rpoObjective     = desc("rpo_objective_seconds", "The RPO that the job asks for.")
	lastPoint        = desc("last_point_timestamp_seconds", "When the newest durable recovery point was set, on the target's clock.")
	lastReceived     = desc("last_received_timestamp_seconds", "When the newest frame became durable in the journal, on the target's clock.")
	lastCaptured     = desc("last_captured_timestamp_seconds", "When the source closed the newest durable frame, on the source's clock.")
	historySeconds   = desc("journal_history_seconds", "The time from the oldest to the newest recovery point of the journal.")
	historyObjective = desc("journal_history_objective_seconds", "How long the job asks to keep recovery points.")
	journalBytes     = desc("journal_bytes", "History of the journal on disk.")
	journalLimit     = desc("journal_limit_bytes", "The most history that the job allows.")
	clockOffset      = desc("clock_offset_seconds", "The target's clock minus the source's.")
	clockBound       = desc("clock_offset_error_bound_seconds", "The greatest error of tidemark_clock_offset_seconds.")
	backlogBytes     = desc("backlog_bytes", "Changed regions that a seed or resync has still to send. Frames on their way do not count.")
	resyncsTotal     = desc("resyncs_total", "Resyncs since capture has the job's disks open: what was sent is compared or sent again.", "cause")
	groupState       = desc("group_state", "1 for the state that the service's side of the job is in, 0 for its other states.", "service", "state")

	failoverRunning = desc("failover_running", "1 while a production failover is neither committed nor undone, else 0.")
	cleanupPending  = desc("cleanup_pending", "1 while a test failover is not cleaned up, else 0.")
	failoverFailed  = desc("failover_failed", "1 if the last failover has failed, else 0.")
	lastTestPassed  = desc("last_test_success_timestamp_seconds", "When the last test failover ended whose verdict was passed.")

	planRunning     = planDesc("running", "1 while a run of the plan goes on, else 0.")
	planFailed      = planDesc("failed", "1 if the last run of the plan has failed or was cancelled, else 0.")
	planDuration    = planDesc("run_duration_seconds", "How long the last run that ended took.")
	planAction      = planDesc("action_duration_seconds", "How long an action of the last run that ended took.", "action")
	planLastRun     = planDesc("last_run_timestamp_seconds", "When the last run that ended did so.")
	planLastSuccess = planDesc("last_test_success_timestamp_seconds", "When the last test run that succeeded ended.")
)

var all = []*prometheus.Desc{rpoSeconds, rpoBound, rpoObjective, lastPoint, lastReceived, lastCaptured, historySeconds, historyObjective,
	journalBytes, journalLimit, clockOffset, clockBound, backlogBytes, resyncsTotal, groupState,
	failoverRunning, cleanupPending, failoverFailed, lastTestPassed, planRunning, planFailed, planDuration, planAction, planLastRun, planLastSuccess}
