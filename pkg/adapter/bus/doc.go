// Package bus is the adapter to NATS: embedded servers, connections, streams,
// key-value buckets, and the message patterns Tidemark uses over them.
//
// One site is one NATS domain. Two sites are joined by a leaf node; either side
// may listen. Everything a site needs when the other is gone stands in its own
// domain, or is copied into it.
//
//	subject                                        kept in
//	tidemark.cmd.v1.<site>.<service>.<verb>.<id>   CMD, work queue, one per subject
//	tidemark.evt.v1.<site>.<area>.<fact>.<id>      EVT, limits; the peer has EVT_<site>
//	tidemark.dlq.v1.<site>.<service>.<verb>.<id>   DLQ, limits
//	tidemark.api.v1.<site>.<service>.<endpoint>    nothing: request-reply
//	tidemark.write.v1.<site>.<group>               WRITE_<group>, limits, discard new
//	tidemark.ack.v1.<site>.<group>                 nothing: plain NATS
//
// An answer to a request may be longer than a message: it comes in parts to who
// can put them together, as Request does.
//
// Buckets: tidemark-spec, tidemark-state and tidemark-epoch in every domain;
// the peer holds read-only copies of the first two under <bucket>-<site>.
//
// What it never does: it does not decide. Go-back-N, fencing, when to purge and
// what a gap means are the caller's, over the ports of package spool. It does
// not log: it returns errors, and tells what it does in the background through
// Config.Notify. It never reports a frame as safe: a JetStream acknowledgement
// is not on disk, only the journal's Durable is.
package bus
