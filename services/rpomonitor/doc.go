// Package rpomonitor watches what every job would lose now. It runs at the
// target site, so that it goes on when the source is gone.
//
// # What it consumes and emits
//
//	consumes                              from       through
//	job specs                             KV         Jobs.Watch
//	whether a job is meant to run         KV         Runs.Watch
//	groups' status, every second          journal    Journal.Status
//	journal.point-created, point-changed  journal    Points.Watch
//
//	emits                                 to         through
//	record rpo.<job>, every second        KV         Records.Put
//	rpo.measured, at most every 10 s      everyone   Events.Emit
//	rpo.breached, rpo.restored            everyone   Events.Emit
//
// The judgement itself is pkg/core/rpo. When the journal does not answer, its last
// word stands and the RPO grows: silence is never good news. While a failover
// has halted or sealed the journal there is no data. The judgement is
// read back from the record at the start, so that a breach rings once.
package rpomonitor
