package subjects

// Services that have a user of their own on every site's server. Setup makes
// streams and may do everything; Operator is a person with the command line.
const (
	Capture    = "capture"
	Journal    = "journal"
	Scheduler  = "scheduler"
	RPOMonitor = "rpo-monitor"
	Failover   = "failover"
	VCenter    = "vcenter"
	// Orchestrator runs site recovery jobs.
	Orchestrator = "orchestrator"
	// Witness is a process elsewhere that tells the orchestrator what it sees of a site.
	Witness  = "witness"
	Operator = "operator"
	Setup    = "setup"
)

// Services lists them all.
func Services() []string {
	return []string{Capture, Journal, Scheduler, RPOMonitor, Failover, VCenter, Orchestrator, Witness, Operator, Setup}
}
