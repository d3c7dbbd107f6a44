// Package orchestrator owns site recovery jobs, called plans, and runs them. It runs
// at the site that a plan recovers to and needs nothing of the source.
//
// # What it consumes and emits
//
//	consumes                             from        through
//	request apply, delete, check         operators   Service.Endpoints
//	command orchestrator.plan-apply      operators   Service.HandleApply
//	command orchestrator.plan-delete     operators   Service.HandleDelete
//	command orchestrator.run             operators   Service.HandleRun
//	command orchestrator.control         operators   Service.HandleControl
//	command orchestrator.trigger         operators   Service.HandleTrigger
//	request witness                      witnesses   Service.Endpoints
//	records of its own runs              KV          Runs.Watch
//	jobs, RPO, points, sites             others      Jobs, World
//	replicas, what is in a job's way     vcenter     VMs
//	failover runs                        KV          Failovers.Run
//
//	emits                                to          through
//	plan                                 KV          Plans
//	run record                           KV          Runs
//	states of triggers, reports          KV          Triggers, Witnesses
//	last checks                          KV          Checks
//	job-run, job-stop                    scheduler   Jobs.SetRunning
//	failover start                       failover    Failovers.Start
//	failover.cleanup, undo, commit       failover    Failovers.End
//	request check                        failover    Failovers.Check
//	request reprotect                    scheduler   Returns
//	power of other VMs                   vcenter     VMs.SetPower
//	scripts in guests                    vcenter     Guests
//	scripts, webhooks, e-mails           outside     Outside
//	connections                          outside     Outside
//	plan.* events                        everyone    Events.Emit
//
// # A run
//
// What follows what is data: see pkg/core/plan. One record per plan holds its
// current run. It is changed only at the revision that was read, so of two runs of
// one plan one is refused. A command only changes the record; the orchestrator that
// holds the lease drives all runs. It stores a run before it does what the run says,
// so another one continues where a killed one was, as soon as the lease has expired.
//
// # A trigger
//
// When one fires is data, too: see pkg/core/trigger. The orchestrator that holds the
// lease looks at all triggers, and stores the name of the run before it begins it, so
// that a trigger which was interrupted begins the same run. Reports of witnesses are
// taken by any orchestrator of the site.
//
// # A check
//
// What is wrong with a plan, and how long that has been known, is data: see
// pkg/core/plan. Every orchestrator of the site looks each minute which plans are due.
//
// What it never does: it takes no site for gone because its own link is; it does not
// touch disks, images or VMs itself, and it starts no program but those in its site's
// script directory.
package orchestrator
