// Package event is the dictionary and codec of commands and events. It is pure:
// no clock, no bus, no I/O but the embedded schemas.
//
// Commands and events are CloudEvents 1.0. The type names the subject names the
// schema:
//
//	type     tidemark.cmd.v1.capture.mark
//	subject  tidemark.cmd.v1.<site>.capture.mark.<id>
//	schema   cmd/v1/capture/mark.json
//
// where <id> is the job or group that it is about, the event's CloudEvents
// subject. On the wire we write binary mode (ce- headers, JSON payload); we
// read that, structured JSON, and bare JSON, decided in this order: a
// ce-specversion header, a specversion key in the payload, neither. Header
// names are read case-insensitively, since people type Ce-Id.
//
// A job is what a user wrote: on disks, or on VMs. A group is one order of writes:
// the disks of a job on disks, or those of one VM. Each group has a job of its
// own, with the group's name; for a protected VM, a VM of a job on VMs, the
// vcenter service makes it. So where a payload has a group, its id names the
// group's own job too.
//
// Each payload is a Go struct whose EventType is its type. The struct does not
// enforce the schema; Schemas does. Check what comes in before using it.
//
// What it never does: it makes no ids and asks for no time, and it does not
// know what a command means.
package event
