package bus

import "slices"

// Services that have a user of their own on every site's server. Setup makes
// streams and may do everything; Operator is a person with the command line.
const (
	Capture      = "capture"
	Journal      = "journal"
	Scheduler    = "scheduler"
	RPOMonitor   = "rpo-monitor"
	Failover     = "failover"
	Orchestrator = "orchestrator"
	VCenter      = "vcenter"
	Console      = "console"
	Operator     = "operator"
	Setup        = "setup"
)

// Services lists them all.
func Services() []string {
	return []string{Capture, Journal, Scheduler, RPOMonitor, Failover, Orchestrator, VCenter, Console, Operator, Setup}
}

// role is what a service needs of the bus, from which its permissions follow.
type role struct {
	emits    []string // areas of events
	handles  bool     // takes commands
	serves   bool     // answers requests
	commands []string // services it commands, at its own site and at peers
	asks     []string // services it asks, likewise
	watches  bool     // reads all events
	buried   bool     // reads dead letters

	// Key prefixes, by bucket. Reading includes the peers' copies. What a
	// service writes it also reads. To write at peers too needs far.
	reads, writes map[string][]string
	far           bool

	framesOut, framesIn bool
}

// roleOf is the table of roles. Every service also writes the lease it leads by.
func roleOf(service string) (role, bool) {
	worker := []string{Capture, Journal, Scheduler, RPOMonitor, Failover, Orchestrator, VCenter}
	states := []string{"job", "capture", "journal", "rpo", "failover", "orchestrator", "vcenter", "lease"}
	roles := map[string]role{
		Capture: {
			emits: []string{"capture"}, handles: true, serves: true, asks: []string{Journal, VCenter}, framesOut: true,
			reads:  map[string][]string{BucketSpec: {"job", "site"}, BucketState: {"job"}},
			writes: map[string][]string{BucketState: {"capture"}, BucketEpoch: {"group"}},
		},
		Journal: {
			emits: []string{"journal"}, handles: true, serves: true, asks: []string{Capture}, framesIn: true,
			reads:  map[string][]string{BucketSpec: {"job", "site"}},
			writes: map[string][]string{BucketState: {"journal"}},
		},
		Scheduler: {
			emits: []string{"job"}, handles: true, serves: true, watches: true,
			commands: []string{Capture, Journal, Failover}, asks: []string{Capture, Journal, Failover},
			reads:  map[string][]string{BucketSpec: {"job", "site"}, BucketState: states},
			writes: map[string][]string{BucketState: {"job"}},
		},
		RPOMonitor: {
			emits: []string{"rpo"}, serves: true, watches: true, asks: []string{Capture, Journal},
			reads:  map[string][]string{BucketSpec: {"job", "site"}, BucketState: states},
			writes: map[string][]string{BucketState: {"rpo"}},
		},
		Failover: {
			emits: []string{"failover"}, handles: true, serves: true, watches: true,
			commands: []string{Capture, Journal, Scheduler}, asks: []string{Capture, Journal, Scheduler, VCenter},
			reads:  map[string][]string{BucketSpec: {"job", "site"}, BucketState: states},
			writes: map[string][]string{BucketState: {"failover"}},
		},
		Orchestrator: {
			emits: []string{"orchestrator"}, handles: true, serves: true, watches: true,
			commands: []string{Capture, Scheduler, Failover}, asks: worker,
			reads:  map[string][]string{BucketSpec: {"job", "site", "plan"}, BucketState: states},
			writes: map[string][]string{BucketState: {"orchestrator"}},
		},
		VCenter: {
			emits: []string{"vcenter"}, serves: true,
			commands: []string{Scheduler}, asks: []string{Capture, Journal, VCenter},
			reads:  map[string][]string{BucketSpec: {"job", "vmjob", "site"}, BucketState: states},
			writes: map[string][]string{BucketSpec: {"job"}, BucketState: {"vcenter"}},
		},
		Console: {
			emits: []string{"job", "site"}, serves: true, watches: true, commands: worker, asks: worker,
			reads:  map[string][]string{BucketState: states},
			writes: map[string][]string{BucketSpec: {"job", "vmjob", "site", "plan"}}, far: true,
		},
		Operator: {
			emits: []string{"job", "site"}, watches: true, buried: true, commands: worker, asks: append(slices.Clone(worker), Console),
			reads:  map[string][]string{BucketState: states},
			writes: map[string][]string{BucketSpec: {"job", "vmjob", "site", "plan"}}, far: true,
		},
	}
	r, ok := roles[service]
	return r, ok
}
