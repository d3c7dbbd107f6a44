// Package plan is a site recovery job as data: which findings an operator should
// see before it runs (Check), and a run of it (Run).
//
//	Step(run, event) -> (run, commands)
//
// The driver stores the run, then carries out the commands and starts what
// Run.Tasks says. A run that was interrupted continues with the event Resumed.
//
// A run pins the plan as it was when the run began. A plan that is changed or
// deleted meanwhile changes nothing for the run.
//
// # Each action takes effect once
//
// A task names its action and its attempt. What has an effect on a job is a request
// that does nothing the second time, so it is made again after a crash. Of a script,
// a webhook or an e-mail nobody can know that: one that was in progress when the driver died
// counts as a failed attempt, and is run again only if the plan allows retries. An
// answer to another attempt than the current one comes late and changes nothing.
//
// # Time
//
// Each attempt and each question has its time. It stands still while the run is paused.
//
// # Phases
//
//	running <-> paused
//	running, paused -> succeeded | failed | cancelled            in production
//	running, paused -> cleaning -> succeeded | failed | cancelled  in a test
//	failed -> running     retry or skip an action, in production
//	failed -> cleaning    retry what could not be cleaned up, in a test
//
// A critical action that failed for good lets no other begin; those in progress
// come to their end first. A test is cleaned up in the reverse order of what began,
// whatever failed.
//
// What it never does: it does not talk, wait, or read a clock.
package plan
