package nbd

import (
	"crypto/tls"
	"math/bits"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/block"
)

// Export is a block device with a name.
type Export struct {
	// Name is what clients ask for, at most 4096 bytes; "" is the default export.
	Name string
	// Description is for people, at most 4096 bytes; may be empty.
	Description string
	// Backend is the disk. Its Size must be a multiple of MinBlock.
	Backend block.Device
	// ReadOnly refuses writes, trims and zeroes with EPERM.
	ReadOnly bool
	// MultiConn tells clients that they may spread their requests over several
	// connections: a flush covers what was written through any of them.
	MultiConn bool
	// MinBlock is the unit of every offset and length: a power of two from 1 to
	// 64 KiB, in bytes; 0 means 512.
	MinBlock uint32
	// MaxConns is how many connections to this export are allowed; 0 means that
	// only the server's limits apply.
	MaxConns int
	// Allow is why a client may not have the export: it gets the text, and does not
	// find the export in a list. It is asked once TLS is on, before everything else.
	// nil: everybody may.
	Allow func(Peer) error

	// OnConnect is called before a client gets the export; an error refuses it.
	// May be nil. Hooks run on the connection's goroutine and must not call
	// RemoveExport.
	OnConnect func(Peer) error
	// OnDisconnect is called once after each OnConnect that returned nil, when
	// no backend call of that connection is running any more. clean: the client
	// disconnected (NBD_CMD_DISC); otherwise it vanished, broke the protocol or
	// was disconnected by the server. May be nil.
	OnDisconnect func(p Peer, clean bool)
}

// Peer is the client of one connection.
type Peer struct {
	Addr string               // remote address; meaningless on a unix socket
	TLS  *tls.ConnectionState // nil without TLS
}

// servedExport is an Export that a server serves.
type servedExport struct {
	Export
	size   int64
	status block.StatusDevice // nil: all data
	commit groupCommit

	// Guarded by Server.mu.
	conns   []*conn
	removed bool // no more connections are added
	wg      sync.WaitGroup
}

func newServedExport(e Export) (*servedExport, error) {
	if e.MinBlock == 0 {
		e.MinBlock = defaultMinBlock
	}
	fail := func(why, hint string) (*servedExport, error) {
		return nil, cdp.Errorf(cdp.Invalid, "add export", e.Name, "%s", why).WithHint(hint)
	}
	switch {
	case e.Backend == nil:
		return fail("it has no backend", "")
	case len(e.Name) > maxName || len(e.Description) > maxName:
		return fail("its name or description is longer than 4096 bytes", "")
	case bits.OnesCount32(e.MinBlock) != 1 || e.MinBlock > maxMinBlock:
		return fail("its minimum block is not a power of two up to 64 KiB", "")
	case e.Backend.Size() < 0 || e.Backend.Size()%int64(e.MinBlock) != 0:
		return fail("its size is not a multiple of the minimum block", "set MinBlock to 1 or pad the disk")
	}
	x := &servedExport{Export: e, size: e.Backend.Size()}
	x.status, _ = e.Backend.(block.StatusDevice)
	x.commit.flush = e.Backend.Flush
	return x, nil
}

// flags are the transmission flags that a client gets.
func (x *servedExport) flags(structured bool) uint16 {
	f := uint16(transHasFlags | transFlush | transCache)
	if x.ReadOnly {
		f |= transReadOnly
	} else {
		f |= transFUA | transTrim | transZeroes | transFastZero
	}
	if structured {
		f |= transDF
	}
	if x.MultiConn {
		f |= transMultiConn
	}
	return f
}
