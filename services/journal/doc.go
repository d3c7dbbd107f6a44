// Package journal is the service at the target site that keeps the groups'
// journals: it takes frames from the streams of their source sites, makes them
// durable, moves base and horizon as each job's policy says, and serves any
// point as disks.
//
//	consumes                              does
//	tidemark.write.v1.<source>.<group>    stores the frames (port Streams)
//	spec bucket                           opens and closes groups (Service.Apply, Remove)
//	cmd journal.point-tag                 replaces a point's tags
//	cmd journal.point-pin                 pins a point, or unpins it
//	cmd journal.point-delete              removes a point
//	api journal status newest points
//	    resolve                           report
//	api journal disks                     says what is at some paths
//	api journal cursor                    says where capture goes on
//	api journal open close exports        serves a point over NBD
//	api journal halt resume move-base     are the steps of a failover
//	    absorb seal release
//	api journal fill fill-stop            writes a point onto the disks of a test's VM
//	api journal sums                      checksums of what a disk holds at head
//	api journal edit-point                tags, pins, deletes points
//	api journal point-tested              says on a point what came of its test
//	api journal expect                    what the point of a command is to be called
//
//	emits
//	tidemark.ack.v1.<source>.<group>      the newest durable frame, and one it refuses
//	evt journal.point-created, point-changed, horizon-moved, state-changed, alarm
//
// From time to time it reads each replica as a whole and compares it with its
// checksums. Damage is named in the status and alarmed; it stops nothing else.
//
// Times of recovery points are this site's: what the source says, as far as it can be
// true (pkg/core/pointtime). Retention goes by how long the journal has run since it
// stored a point.
//
// Recovery points are signed by their source. The first key that a site signs with is
// bound to it (type signers); a point that is not signed with it is stored all the same,
// named in the status, and alarmed.
//
// A retention lock is kept here, and not with the job (type lock): for its time nobody
// shortens history, unpins or deletes a point, or commits a failover, and the journal of
// a deleted job stays. Package vault refuses to move horizon past what is locked, and to
// seal the journal, whoever asks.
//
// On a full disk it takes nothing in, says so, and goes on by itself once there is room.
// A failover may use what is reserved for it on that disk.
//
// It never waits for a source site: whatever a recovery needs is here. It never
// reports a frame as stored before it is on the disk, and never offers a point
// where history is not complete.
package journal
