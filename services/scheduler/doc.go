// Package scheduler owns jobs: it is their only writer, sets their recovery points
// at the pace of the RPO, and keeps whether they should run. It runs at the target
// site.
//
// # What it consumes and emits
//
//	consumes                        from            through
//	command scheduler.job-apply     operators       Service.ApplyJob
//	command scheduler.job-delete    operators       Service.DeleteJob
//	command scheduler.job-run       operators       Service.RunJob
//	command scheduler.job-stop      operators       Service.StopJob
//	requests job-apply, job-delete  operators       Service.Endpoints
//	request job-reprotect           operators       Service.Endpoints
//	requests group-apply, -delete   vcenter         Service.Endpoints
//	job specs                       KV              Jobs, VMJobs
//	run states                      KV              Runs.Watch, Get
//	failover records                KV              Failovers
//	jobs and failover records of
//	the linked sites                KV, copies      Linked
//	specs and run states that
//	somebody else has written       KV              BadEntries
//
//	emits                           to              through
//	job specs                       KV              Jobs, VMJobs
//	request marks                   source site     Marks.Mark
//	run state of a job              KV              Runs.Put
//	job.applied, deleted, started,
//	stopped, alarm                  everyone        Events.Emit
//	questions about jobs on VMs     vcenter         VMs
//	questions about points          journal         Journal
//
// A job is written only after it has passed its schema, the rules about what is
// stored already (package jobrules), and, with VMs, the vcenter services of both
// sites. A deletion is refused while the job runs, while a failover run needs it, or
// while it has recovery points that nobody agreed to drop.
//
// A stored spec or run state that cannot be read is overwritten with the one before
// it, which everybody uses in the meantime, and raises an alarm.
//
// A running job gets a recovery point as often as its RPO says. Marks that are due at
// about the same time go to a source site in one message. Each begins a trace of its
// own, to which the frame, the journal and the monitor's event belong. While one mark is
// pending, because the source or the link is slow, no second one is
// sent; a mark for a source that cannot be reached is skipped. That shows as a
// growing RPO, which the monitor reports.
//
// What it never does: it stores nothing but specs and run states, and does not
// wait for the source site.
package scheduler
