package nbd

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"tidemark.dev/pkg/core/block"
)

// maxReplyChunk bounds the replies without read data, in bytes.
const maxReplyChunk = 1 << 20

func violation(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

// reply handles one message of the server. An error ends the connection.
func (c *Client) reply(in *bufio.Reader) error {
	head, err := in.Peek(4)
	if err != nil {
		return err
	}
	switch magic := binary.BigEndian.Uint32(head); {
	case magic == magicSimple:
		return c.simpleReply(in)
	case magic == magicStructured && c.structured:
		return c.chunkReply(in)
	default:
		return violation("bad reply magic %#x", magic)
	}
}

// find returns the call of a cookie, which the receiver keeps.
func (c *Client) find(cookie uint64) (*call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.calls[cookie]
	if k == nil {
		return nil, violation("reply to no request")
	}
	return k, nil
}

// finish gives the call back to its caller.
func (c *Client) finish(cookie uint64, k *call) error {
	c.mu.Lock()
	delete(c.calls, cookie)
	c.mu.Unlock()
	short := k.err == nil && (k.got < int64(len(k.buf)) || k.cmd == cmdBlockStatus && len(k.extents) == 0)
	if short {
		k.err = violation("incomplete reply")
	}
	err := k.err
	k.done <- struct{}{}
	if short {
		return err
	}
	return nil
}

func (c *Client) simpleReply(in *bufio.Reader) error {
	var b [simpleLen]byte
	if _, err := io.ReadFull(in, b[:]); err != nil {
		return err
	}
	cookie := binary.BigEndian.Uint64(b[8:])
	k, err := c.find(cookie)
	if err != nil {
		return err
	}
	if e := binary.BigEndian.Uint32(b[4:]); e != 0 {
		k.err = serverErr(e)
	} else if k.buf != nil && !c.structured {
		if _, err := io.ReadFull(in, k.buf); err != nil {
			return err
		}
		k.got = int64(len(k.buf))
	}
	return c.finish(cookie, k)
}

func (c *Client) chunkReply(in *bufio.Reader) error {
	var b [chunkLen]byte
	if _, err := io.ReadFull(in, b[:]); err != nil {
		return err
	}
	flags, typ := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	cookie, n := binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint32(b[16:])
	k, err := c.find(cookie)
	if err != nil {
		return err
	}
	if typ == chunkOffsetData {
		err = k.data(in, n)
	} else if n > maxReplyChunk {
		err = violation("chunk of %d bytes", n)
	} else {
		p := make([]byte, n)
		if _, err = io.ReadFull(in, p); err == nil {
			err = k.chunk(typ, p)
		}
	}
	if err != nil {
		return err
	}
	if flags&chunkDone != 0 {
		return c.finish(cookie, k)
	}
	return nil
}

// data receives a piece of a read.
func (k *call) data(in *bufio.Reader, n uint32) error {
	var off [8]byte
	if n <= 8 {
		return violation("data chunk of %d bytes", n)
	}
	if _, err := io.ReadFull(in, off[:]); err != nil {
		return err
	}
	p, err := k.piece(binary.BigEndian.Uint64(off[:]), n-8)
	if err == nil {
		_, err = io.ReadFull(in, p)
	}
	return err
}

// piece returns the part of the read's buffer that a chunk describes.
func (k *call) piece(off uint64, n uint32) ([]byte, error) {
	at := off - uint64(k.off)
	if at > uint64(len(k.buf)) || uint64(n) > uint64(len(k.buf))-at {
		return nil, violation("chunk outside the request")
	}
	k.got += int64(n)
	return k.buf[at : at+uint64(n)], nil
}

// chunk handles all chunks but data.
func (k *call) chunk(typ uint16, p []byte) error {
	be := binary.BigEndian
	switch {
	case typ&chunkErrBit != 0:
		if len(p) < 6 || int(be.Uint16(p[4:])) > len(p)-6 || be.Uint32(p) == 0 {
			return violation("malformed error chunk")
		}
		if k.err == nil {
			k.err = serverErr(be.Uint32(p))
		}
	case typ == chunkNone && len(p) == 0:
	case typ == chunkOffsetHole && len(p) == 12:
		q, err := k.piece(be.Uint64(p), be.Uint32(p[8:]))
		if err != nil {
			return err
		}
		clear(q)
	case typ == chunkBlockStatus && k.cmd == cmdBlockStatus && len(p) >= 12 && len(p)%8 == 4:
		for p = p[4:]; len(p) > 0; p = p[8:] {
			s := be.Uint32(p[4:])
			k.extents = append(k.extents, block.Extent{Length: int64(be.Uint32(p)), Hole: s&stateHole != 0, Zero: s&stateZero != 0})
		}
	default:
		return violation("unexpected chunk of type %d", typ)
	}
	return nil
}
