package nbd

import "fmt"

// pieceLen is the most of a read or write, in bytes, that is in memory at once.
// Larger ones go through in pieces, so that a client that sends half a write, or
// reads no replies, holds this much and not as much as it asked for. Pieces end
// at multiples of it, where the regions of a disk end.
const pieceLen = 1 << 20

// memory returns room for the piece of a request that begins at off: at most as
// much as is left of the request. It may hold anything.
func (c *conn) memory(off, left int64) []byte {
	n := int(min(left, pieceLen-off%pieceLen))
	if cap(c.scratch) < n {
		c.scratch = make([]byte, max(n, min(pieceLen, 2*cap(c.scratch))))
	}
	return c.scratch[:n]
}

// write receives a write's payload and stores it. What the client does not wait
// for may be on the disk in part, as of any disk.
func (c *conn) write(r request, fua bool) error {
	var failed error
	for off, left := int64(r.off), int64(r.n); left > 0; {
		p := c.memory(off, left)
		if err := c.in.payload(p); err != nil {
			return err
		}
		if failed == nil { // else the rest is only received
			failed = c.exp.Backend.WriteAt(p, off, fua)
		}
		off, left = off+int64(len(p)), left-int64(len(p))
	}
	return c.finish(r, "write", fua, failed)
}

// read serves a read: small ones gather in the output buffer, large ones are sent
// at once.
func (c *conn) read(r request) error {
	switch {
	case r.n <= inlineRead:
		return c.readInline(r)
	case c.neg.structured && r.flags&cmdFlagDF == 0:
		return c.readInChunks(r)
	}
	return c.readWhole(r)
}

func (c *conn) readInline(r request) error {
	c.out.Lock()
	defer c.out.Unlock()
	// It is not sent before the backend is done, so it can still be taken back.
	p := c.out.readHead(r, int(r.n), c.neg.structured)
	if err := c.exp.Backend.ReadAt(p, int64(r.off)); err != nil {
		c.out.takeBack(int(r.n), c.neg.structured)
		c.backendFailed("read", err)
		c.out.fail(r.cookie, errnoOf(err), c.neg.structured)
	}
	return c.out.err
}

// readInChunks sends each piece as a chunk of its own. Other replies may come
// between them, and the last one may be an error.
func (c *conn) readInChunks(r request) error {
	for off, left := int64(r.off), int64(r.n); left > 0; {
		p := c.memory(off, left)
		if err := c.exp.Backend.ReadAt(p, off); err != nil {
			c.backendFailed("read", err)
			c.fail(r, errnoOf(err))
			return nil
		}
		left -= int64(len(p))
		c.out.Lock()
		c.out.dataHead(r.cookie, off, len(p), left == 0)
		err := c.out.sendWith(p)
		c.out.Unlock()
		if err != nil {
			return err
		}
		off += int64(len(p))
	}
	return nil
}

// readWhole sends a reply in one part, for a client that knows no other. Once it
// has begun there is no room in it for an error: the connection has to end.
func (c *conn) readWhole(r request) error {
	p := c.memory(int64(r.off), int64(r.n))
	if err := c.exp.Backend.ReadAt(p, int64(r.off)); err != nil {
		c.backendFailed("read", err)
		c.fail(r, errnoOf(err))
		return nil
	}
	c.out.Lock()
	defer c.out.Unlock()
	c.out.readHead(r, 0, c.neg.structured)
	for off, left := int64(r.off), int64(r.n); ; {
		if err := c.out.sendWith(p); err != nil {
			return err
		}
		off, left = off+int64(len(p)), left-int64(len(p))
		if left == 0 {
			return nil
		}
		p = c.memory(off, left)
		if err := c.exp.Backend.ReadAt(p, off); err != nil {
			c.backendFailed("read", err)
			return fmt.Errorf("the reply to a read of %d bytes had begun: %w", r.n, err)
		}
	}
}
