// Package failover brings the disks of a job to a recovery point and hands them
// out, and then takes them back or makes that final. It runs at the target site
// and needs nothing of the source.
//
// # What it consumes and emits
//
//	consumes                        from           through
//	command failover.start          operators      Service.HandleStart
//	command failover.cleanup        operators      Service.HandleCleanup
//	command failover.undo           operators      Service.HandleUndo
//	command failover.commit         operators      Service.HandleCommit
//	request failover start          operators      Service.Start (planned runs)
//	job specs, once per run         KV             Jobs.Get
//	status, points                  journal        Journal.Status, Resolve
//	request failover unfence        operators      Service.Unfence
//	request failover policy         operators      Service.SetPolicy
//	request failover check          operators      Service.Recheck
//	newest write, last frame        capture        Source.Status, Drain; may be silent
//
//	emits                           to             through
//	open, close, absorb             journal        Exports
//	point-tested (a verdict)        journal        Journal.Tested
//	fill, fill-stop                 journal        Exports
//	halt, resume, move-base, seal   journal        Replica
//	release                         journal        Replica
//	vm-build to vm-remove           vcenter        VMs, at this site
//	fence                           vcenter        Source.Fence, at the source; may be silent
//	run record failover.<job>       KV             Records
//	failover.step, finished         everyone       Events.Emit
//	failover.window-ending          everyone       Events.Emit
//
// # A run
//
// The steps of a run are data: see pkg/core/failoverrun. One record per job holds
// the run. It is made and changed only at the revision that was read, so of two
// runs of one job one is refused, and two services that drive one run cannot
// overwrite each other. Any failover service of a site takes requests, and the one that
// holds the lease watches the records and drives them: if it is killed, another goes on. The record is stored before a step is done, and every
// step is idempotent: after kill -9 the service reads the records and does the
// current steps again. The job's spec is in the record from the start; no step
// reads the job again.
//
// A command only checks and writes the record; one goroutine per job does the
// steps. An error that may pass is retried for ever; any other ends the run as
// pkg/core/failoverrun says.
//
// Another goroutine per job does what a run owes at a source that may be gone: it asks
// until the VM there is powered off, or given back. A third watches the commit window of
// a run that has a policy: it warns, and ends the run when nobody did.
//
// What it never does: it does not touch disks, images or VMs itself.
package failover
