// Package qmp speaks the QEMU Machine Protocol with a running QEMU or
// qemu-storage-daemon over a unix socket, and starts and watches the block jobs
// that copy a running guest's disk to an NBD server.
//
// # Protocol
//
// Both directions are JSON objects, one per line (QEMU docs/interop/qmp-spec).
// The server greets, the client leaves negotiation with qmp_capabilities, and
// from then on
//
//	-> {"execute": "query-status", "arguments": {...}, "id": 7}
//	<- {"return": {...}, "id": 7}
//	<- {"error": {"class": "GenericError", "desc": "..."}, "id": 7}
//	<- {"event": "BLOCK_JOB_READY", "data": {...}, "timestamp": {"seconds": 1, "microseconds": 2}}
//
// Replies are matched by id; anything that is none of these ends the connection
// with a *ProtocolError, because nothing after it can be trusted.
//
// # Mirror jobs
//
//	AddNBD          the target node: the product's NBD export
//	StartMirror     sync=full copy-mode=write-blocking on-target-error=stop
//	WaitReady       every later guest write is on the target before it completes
//	Next            what happens to the job, in order
//	Resume          after a target error: copies what changed meanwhile, in
//	                bitmap order, so no moment before WaitSynced is consistent
//	Recover         Resume again and again until the target is back and synced
//	Cancel          ends the job; the guest runs on without it
//
// A mirror forwards neither flushes nor discards: when data becomes durable is
// the target's own policy.
//
// The package never starts or stops QEMU, never reconnects, and keeps at most
// Backlog events that nobody has taken.
package qmp
