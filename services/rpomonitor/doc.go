// Package rpomonitor measures what every job would lose now. It runs at the
// target site, so it continues when the source is gone.
//
// # What it consumes and emits
//
//	consumes                              from       through
//	job specs                             KV         Jobs.Watch
//	whether a job runs                    KV         Runs.Watch
//	newest points, every second or so     journal    Journal.Newest
//	journal.point-created, point-changed  journal    Points.Watch
//
//	emits                                 to         through
//	record rpo.<job>                      KV         Records.Put
//	round of measurements, every second   KV         Records.PutRound
//	rpo.measured, once an RPO, at most    everyone   Events.Emit
//	every 10 s, and 2 a second of all jobs
//	rpo.breached, rpo.restored            everyone   Events.Emit
//
// An RPO that only grows is not stored anew: a record is, when its job has a newer
// point or another state, and once a minute. The round says until when all records
// were measured. So a job that nobody writes to costs next to nothing.
//
// Whether an RPO is breached is decided by pkg/core/rpo. When the journal does
// not answer, its last answer is used and the RPO grows: silence is never good
// news. While a failover has halted or sealed the journal there is no data. At
// the start the last status is read back from the record, so that a breach is
// reported once.
//
// What it never does: it makes no recovery points, and nothing waits for it.
package rpomonitor
