package nbd

import (
	"fmt"

	"tidemark.dev/pkg/core/block"
)

// requests reads and serves one request after the other.
func (c *conn) requests() (clean bool, err error) {
	for !c.draining.Load() {
		head, err := c.in.header(requestLen)
		if err != nil {
			return false, err
		}
		r, ok := decodeRequest(head)
		if !ok {
			return false, fmt.Errorf("%w: bad request magic", ErrProtocol)
		}
		if r.cmd == cmdDisc {
			return true, nil
		}
		if err := c.request(r); err != nil {
			return false, err
		}
	}
	return false, nil
}

// request serves one request. An error means that the connection cannot go on.
func (c *conn) request(r request) error {
	if r.cmd != cmdWrite {
		c.in.brief = false
	}
	if e := c.exp.check(r, c.neg); e != 0 {
		if r.cmd == cmdWrite {
			if r.n > 2*maxRequest {
				return fmt.Errorf("%w: write of %d bytes", ErrProtocol, r.n)
			}
			if err := c.in.drop(int64(r.n)); err != nil {
				return err
			}
		}
		c.fail(r, e)
		return nil
	}
	if r.cmd == cmdTrim || r.cmd == cmdWriteZeroes {
		// These can take long; earlier replies must not wait for them.
		if err := c.sendReplies(); err != nil {
			return err
		}
	}
	off, n := int64(r.off), int64(r.n)
	fua := r.flags&cmdFlagFUA != 0
	switch r.cmd {
	case cmdRead:
		return c.read(r)
	case cmdWrite:
		return c.write(r, fua)
	case cmdFlush:
		return c.durable(r.cookie)
	case cmdTrim:
		return c.finish(r, "trim", fua, c.exp.Backend.Trim(off, n, fua))
	case cmdWriteZeroes:
		return c.finish(r, "zero", fua, c.exp.Backend.Zero(off, n, zeroFlags(r.flags)))
	case cmdBlockStatus:
		return c.blockStatus(r)
	}
	return c.finish(r, "cache", false, nil) // there is no cache to fill
}

func zeroFlags(cmd uint16) (f block.ZeroFlags) {
	if cmd&cmdFlagNoHole != 0 {
		f |= block.ZeroNoHole
	}
	if cmd&cmdFlagFastZero != 0 {
		f |= block.ZeroFast
	}
	if cmd&cmdFlagFUA != 0 {
		f |= block.ZeroFUA
	}
	return f
}

// finish replies to a request without data, at once or when it is durable.
func (c *conn) finish(r request, op string, fua bool, err error) error {
	if err != nil {
		c.backendFailed(op, err)
		c.fail(r, errnoOf(err))
		return nil
	}
	if fua {
		return c.durable(r.cookie)
	}
	c.out.Lock()
	defer c.out.Unlock()
	c.out.simple(r.cookie, 0)
	return c.out.err
}

// fail replies with an error number.
func (c *conn) fail(r request, e errno) {
	c.out.Lock()
	defer c.out.Unlock()
	c.out.fail(r.cookie, e, c.neg.structured)
}

func (c *conn) backendFailed(op string, err error) {
	c.srv.event(Event{Kind: EventBackendError, Export: c.exp.Name, Peer: c.peer, Op: op, Err: err})
}
