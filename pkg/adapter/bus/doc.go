// Package bus is the adapter to NATS: embedded servers, connections, streams,
// key-value buckets, and the message patterns Tidemark uses over them.
//
// A site is one NATS server with a JetStream domain of its own. Everything that
// a site needs while its peers are away is in its own domain, or is copied there.
//
//	subject                                        kept in
//	tidemark.cmd.v1.<site>.<service>.<verb>.<id>   CMD, work queue, one per subject
//	tidemark.evt.v1.<site>.<area>.<fact>.<id>      EVT, limits; a peer has EVT_<site>
//	tidemark.dlq.v1.<site>.<service>.<verb>.<id>   DLQ, limits
//	tidemark.api.v1.<site>.<service>.<endpoint>    nothing: request-reply
//	tidemark.write.v1.<site>.<group>               WRITE_<group>, limits, discard new
//	tidemark.ack.v1.<site>.<target>.<group>        nothing: plain NATS
//
// An answer to a request may be longer than a message. Whoever asks with Request
// gets it in parts, put together again.
//
// Buckets: tidemark-spec, tidemark-state and tidemark-epoch at every site; each
// peer has read-only copies of the first two under <bucket>-<site>.
//
// # Who may do what
//
// roleOf has a row for each service. Nobody but set-up makes, changes or removes
// streams, consumers or buckets: whoever may, moves messages past all permissions.
// Set-up makes those of a site (EnsureSite) and of its peers (EnsurePeer), and, asked by
// capture, those of groups (KeepSite). Services take commands from consumers that they
// are bound to by name, and read buckets and events by number (scan); the server
// announces under stored.<subject> what is new. A service answers to inboxes only.
//
// # Links
//
// Sites are linked by leaf connections that form a tree. The services of a site are in
// the account USERS, its streams in APP. Each peer's leaf is in an account of its own, and
// what passes between that and the two is the list in crossings, and nothing else:
//
//   - frames: the journal resets the consumer frames_<target> of the group's stream
//     and takes frames from it. The site that captures makes that consumer, so its
//     name is what the peer may do.
//   - durable frame numbers, back.
//   - copies of events, specs and states, through consumers copy_<site>_<peer>. A
//     copy that has more than the peer, whose store was put back, is filled anew.
//   - the endpoints and commands that peerEndpoints and peerCommands name.
//
// Every subject on a link names the site that it belongs to. A site passes
// nothing on from one peer to another. ServerConfig.Text is the whole
// configuration, for an embedded server and for a standalone one.
//
// A link bounds what a peer can do, not whether it is honest: who holds its key
// takes its frames, reports durable numbers, and writes what is copied from it.
// An answer's subject cannot be bounded where it begins with $JS.ACK: a peer can
// acknowledge a command that waits here.
//
// What it never does: it does not decide. Go-back-N, fencing, and what a gap
// means are the caller's, over the ports of package spool. It does not log: it
// returns errors, and reports what happens in the background to Config.Notify. It
// never calls a frame safe: a JetStream acknowledgement is not on disk, only the
// journal's Durable is.
package bus
