// Package nbd is a server (and a small client) of the Network Block Device
// protocol: it serves a [block.Device] to hypervisors and block tools as a disk.
//
// The server decodes and checks requests and replies to them; the backend decides
// what a block holds. It never caches, reorders or merges the writes of one
// connection, never acknowledges a FLUSH or a FUA write before
// [block.Device.Flush] returned, never starts a backend call for a request it has
// not found valid, and never logs: diagnostics go to [Config.Events].
//
// # Protocol
//
// The source is the protocol document, doc/proto.md in
// https://github.com/NetworkBlockDevice/nbd.
//
//	part               supported
//	handshake          fixed newstyle, with NO_ZEROES; oldstyle never
//	options            EXPORT_NAME ABORT LIST STARTTLS INFO GO STRUCTURED_REPLY
//	                   LIST_META_CONTEXT SET_META_CONTEXT; all else ERR_UNSUP
//	                   (also EXTENDED_HEADERS: no client in use needs it)
//	info               EXPORT NAME DESCRIPTION BLOCK_SIZE
//	metadata contexts  base:allocation
//	TLS                off, or required before all but ABORT ([Config.TLS])
//	commands           READ WRITE DISC FLUSH TRIM CACHE WRITE_ZEROES BLOCK_STATUS
//	command flags      FUA NO_HOLE DF REQ_ONE FAST_ZERO
//	replies            simple; structured once the client asked for it
//	block sizes        min 512 ([Export.MinBlock]), preferred 4096, max 64 MiB
//
// # Errors a client sees
//
//	EPERM      a write, trim or zero to a read-only export
//	EINVAL     unknown command or flag, length 0, unaligned, out of range
//	ENOSPC     a write or zero beyond the end; a backend that is full
//	EOVERFLOW  a read or write longer than 64 MiB
//	ENOTSUP    FAST_ZERO that would not be fast
//	ESHUTDOWN  a backend that is closing
//	EIO        every other backend error
//
// The connection outlives all of these: a refused write's payload is read and
// dropped, up to twice the largest request. It ends on a wrong request magic,
// on a payload beyond that, when a peer goes away, and when the backend fails in
// the middle of a read above 1 MiB whose reply has begun and cannot be taken back
// (a client with simple replies, or DF).
//
// # Order and durability
//
// One goroutine per connection reads requests and runs them one after the
// other, so the backend sees a connection's writes in the order they were
// sent. FLUSH and the durable half of FUA leave that goroutine (unless the
// client has no other request in progress): they wait for a backend flush that
// started after they arrived, and all that wait share it (group commit per
// export, over all of its connections). One system call sends the gathered replies
// when no further request has arrived.
//
// Reads run on that goroutine too: a client that wants several slow reads at
// once has to open several connections.
//
// # Memory
//
// A connection holds 64 KiB of input and 64 KiB of output, at most 1024 waiting
// flushes, and at most 1 MiB of the request it is serving, whatever the client
// does: a larger request goes through in pieces of that size. A server holds
// that times [Config.MaxConnections].
//
// The package needs Linux.
package nbd
