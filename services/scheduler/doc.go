// Package scheduler keeps the cadence of recovery points and the run state of
// jobs. It runs at the target site.
//
// # What it consumes and emits
//
//	consumes                        from            through
//	job specs                       KV              Jobs.Watch, Get
//	run states                      KV              Runs.Watch, Get
//	command scheduler.job-run       operators       Service.RunJob
//	command scheduler.job-stop      operators       Service.StopJob
//
//	emits                           to              through
//	command capture.mark            source site     Marks.Mark
//	run state of a job              KV              Runs.Put
//	job.started, job.stopped        everyone        Events.Emit
//
// A job that runs gets a recovery point as often as its RPO says. One trace
// begins with each: mark, frame, journal and the monitor's word belong to it.
// While one mark is pending, because the source or the link is slow, no second
// is sent; when the source cannot be reached the beat is left out. That shows
// as a growing RPO, which is the monitor's to tell.
//
// What it never does: it keeps nothing that must survive but the run states,
// and does not wait for the source site.
package scheduler
