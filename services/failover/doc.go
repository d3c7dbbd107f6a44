// Package failover brings the disks of a job to a recovery point and hands them
// out, and takes them back or makes that final. It runs at the target site and
// needs nothing of the source.
//
// # What it consumes and emits
//
//	consumes                        from           through
//	command failover.start          operators      Service.HandleStart
//	command failover.cleanup        operators      Service.HandleCleanup
//	command failover.undo           operators      Service.HandleUndo
//	command failover.commit         operators      Service.HandleCommit
//	request failover start          operators      Service.Start (planned runs)
//	job specs                       KV             Jobs.Get
//	status, points                  journal        Journal.Status, Resolve
//	what it has seen, last frame    capture        Source.Status, Drain; may be silent
//
//	emits                           to             through
//	open, close, absorb             journal        Exports
//	fill, fill-stop                 journal        Exports
//	halt, resume, move-base, seal   journal        Replica
//	release                         journal        Replica
//	vm-build to vm-remove           vcenter        VMs, at this site
//	run record failover.<job>       KV             Records
//	failover.step, finished         everyone       Events.Emit
//
// # A run
//
// The plan is data, see package plan. One record per job holds the run; it is
// made and changed only in the revision that was read, so that of two runs over
// one job one is refused, and of two services that drive one run neither goes
// over what the other wrote. The record is written before a step is done, and
// every step is idempotent at the journal: after kill -9 the service reads the
// records and does the step at hand again.
//
// A command only checks and writes the record; the steps are done by one
// goroutine per job. What fails for a while is tried again for ever, what fails
// for good ends the run as the plan says.
package failover
