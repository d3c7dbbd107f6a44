package bus

import "tidemark.dev/pkg/contract/subjects"

// role is what a service needs of the bus, from which its permissions follow.
type role struct {
	emits    []string // areas of events
	handles  bool     // takes commands
	serves   bool     // answers requests
	commands []string // services it commands; at peers as far as peerCommands lets it
	asks     []string // services it asks; at peers as far as peerEndpoints lets it
	watches  bool     // reads all events
	buried   bool     // reads dead letters

	// Key prefixes, by bucket. Reading includes the peers' copies. What a
	// service writes it also reads. A key has one writer.
	reads, writes map[string][]string

	framesOut, framesIn bool
}

// roleOf is the table of roles. Every service also writes the lease it leads by.
func roleOf(service string) (role, bool) {
	worker := []string{subjects.Capture, subjects.Journal, subjects.Scheduler, subjects.RPOMonitor, subjects.Failover, subjects.VCenter, subjects.Orchestrator}
	states := []string{"job", "capture", "journal", "rpo", "rpo-round", "failover", "vcenter", "links", "lease", "orchestrator", "orchestrator-log"}
	roles := map[string]role{
		subjects.Capture: {
			emits: []string{"capture"}, handles: true, serves: true, asks: []string{subjects.Journal, subjects.VCenter}, framesOut: true,
			reads:  map[string][]string{subjects.BucketSpec: {"job", "site"}, subjects.BucketState: {"job"}},
			writes: map[string][]string{subjects.BucketState: {"capture"}, subjects.BucketEpoch: {"group"}},
		},
		subjects.Journal: {
			emits: []string{"journal"}, handles: true, serves: true, asks: []string{subjects.Capture}, framesIn: true,
			reads:  map[string][]string{subjects.BucketSpec: {"job", "site"}},
			writes: map[string][]string{subjects.BucketState: {"journal"}},
		},
		subjects.Scheduler: {
			emits: []string{"job"}, handles: true, serves: true, watches: true,
			commands: []string{subjects.Capture, subjects.Journal, subjects.Failover}, asks: []string{subjects.Capture, subjects.Journal, subjects.Failover, subjects.VCenter},
			reads:  map[string][]string{subjects.BucketSpec: {"site"}, subjects.BucketState: states},
			writes: map[string][]string{subjects.BucketSpec: {"job", "vmjob"}, subjects.BucketState: {"job"}},
		},
		subjects.RPOMonitor: {
			emits: []string{"rpo"}, serves: true, watches: true, asks: []string{subjects.Capture, subjects.Journal},
			reads:  map[string][]string{subjects.BucketSpec: {"job", "site"}, subjects.BucketState: states},
			writes: map[string][]string{subjects.BucketState: {"rpo", "rpo-round"}},
		},
		subjects.Failover: {
			emits: []string{"failover"}, handles: true, serves: true, watches: true,
			commands: []string{subjects.Capture, subjects.Journal, subjects.Scheduler}, asks: []string{subjects.Capture, subjects.Journal, subjects.Scheduler, subjects.VCenter},
			reads:  map[string][]string{subjects.BucketSpec: {"job", "site"}, subjects.BucketState: states},
			writes: map[string][]string{subjects.BucketState: {"failover"}},
		},
		subjects.VCenter: {
			emits: []string{"vcenter", "site"}, handles: true, serves: true,
			commands: []string{subjects.Scheduler}, asks: []string{subjects.Capture, subjects.Journal, subjects.Scheduler, subjects.VCenter},
			reads:  map[string][]string{subjects.BucketSpec: {"job", "vmjob"}, subjects.BucketState: states},
			writes: map[string][]string{subjects.BucketSpec: {"site"}, subjects.BucketState: {"vcenter"}},
		},
		subjects.Orchestrator: {
			emits: []string{"plan"}, handles: true, serves: true, watches: true,
			commands: []string{subjects.Scheduler, subjects.Failover}, asks: []string{subjects.Capture, subjects.Journal, subjects.Failover, subjects.VCenter},
			reads:  map[string][]string{subjects.BucketSpec: {"job", "vmjob", "site"}, subjects.BucketState: states},
			writes: map[string][]string{subjects.BucketSpec: {"plan"}, subjects.BucketState: {"orchestrator", "orchestrator-log"}},
		},
		subjects.Operator: {
			watches: true, buried: true, commands: worker, asks: worker,
			reads: map[string][]string{subjects.BucketSpec: {"job", "vmjob", "site", "plan"}, subjects.BucketState: states},
		},
	}
	r, ok := roles[service]
	return r, ok
}
