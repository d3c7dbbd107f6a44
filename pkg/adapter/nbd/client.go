package nbd

import (
	"bufio"
	"encoding/binary"
	"net"
	"sync"
	"syscall"
	"time"

	"tidemark.dev/pkg/core/block"
)

// Client is one connection to an NBD export. Its methods may be called
// concurrently: requests are pipelined on the connection, and replies may come in
// any order. Ranges follow the server's rules (see Export.MinBlock); an error of
// the server has a syscall.Errno inside.
type Client struct {
	nc         net.Conn
	name       string
	size       int64
	flags      uint16
	min, max   uint32 // block sizes
	structured bool
	allocation bool

	send sync.Mutex // one request at a time on the wire; guards head, vec, bufs
	head [requestLen]byte
	vec  [2][]byte
	bufs net.Buffers

	mu    sync.Mutex
	calls map[uint64]*call
	last  uint64
	err   error         // why the connection is unusable
	done  chan struct{} // closed when the receiver ended
}

// call is a request in progress. The receiver owns it from the moment it is in
// Client.calls until it sends on done.
type call struct {
	cmd     uint16
	off     int64
	n       int64
	buf     []byte // destination of a read
	got     int64  // bytes of it that arrived
	err     error
	extents []block.Extent
	done    chan struct{}
}

// Size is the export's length in bytes.
func (c *Client) Size() int64 { return c.size }

// ReadOnly reports whether the server refuses writes.
func (c *Client) ReadOnly() bool { return c.flags&transReadOnly != 0 }

// MultiConn reports whether further connections to the export see this one's
// writes.
func (c *Client) MultiConn() bool { return c.flags&transMultiConn != 0 }

// MinBlock is the unit of offsets and lengths, in bytes.
func (c *Client) MinBlock() uint32 { return c.min }

// ReadAt fills p from off. It implements io.ReaderAt, except that a range
// beyond the end is an error of the server, not io.EOF.
func (c *Client) ReadAt(p []byte, off int64) (int, error) {
	return c.split(p, off, func(p []byte, off int64) error {
		return c.do("read export", cmdRead, 0, off, int64(len(p)), nil, p)
	})
}

// WriteAt stores p at off.
func (c *Client) WriteAt(p []byte, off int64) (int, error) {
	return c.split(p, off, func(p []byte, off int64) error {
		return c.do("write export", cmdWrite, 0, off, int64(len(p)), p, nil)
	})
}

// WriteFUA stores p at off and returns when it is durable.
func (c *Client) WriteFUA(p []byte, off int64) (int, error) {
	return c.split(p, off, func(p []byte, off int64) error {
		return c.do("write export", cmdWrite, cmdFlagFUA, off, int64(len(p)), p, nil)
	})
}

// split cuts a transfer into pieces that the server takes.
func (c *Client) split(p []byte, off int64, piece func([]byte, int64) error) (done int, err error) {
	for done < len(p) {
		n := min(len(p)-done, int(c.max))
		if err := piece(p[done:done+n], off+int64(done)); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// Flush returns when every write that had its reply before is durable.
func (c *Client) Flush() error { return c.do("flush export", cmdFlush, 0, 0, 0, nil, nil) }

// Trim tells the server that n bytes at off are not needed.
func (c *Client) Trim(off, n int64) error {
	return c.spans(off, n, func(off, n int64) error { return c.do("trim export", cmdTrim, 0, off, n, nil, nil) })
}

// Zero makes n bytes at off read as zeros.
func (c *Client) Zero(off, n int64, flags block.ZeroFlags) error {
	var f uint16
	if flags&block.ZeroNoHole != 0 {
		f |= cmdFlagNoHole
	}
	if flags&block.ZeroFast != 0 {
		f |= cmdFlagFastZero
	}
	if flags&block.ZeroFUA != 0 {
		f |= cmdFlagFUA
	}
	return c.spans(off, n, func(off, n int64) error { return c.do("zero export", cmdWriteZeroes, f, off, n, nil, nil) })
}

// spans cuts a range into pieces whose length fits a request.
func (c *Client) spans(off, n int64, piece func(off, n int64) error) error {
	const most = 1 << 30
	for {
		k := min(n, most)
		if err := piece(off, k); err != nil {
			return err
		}
		off, n = off+k, n-k
		if n <= 0 {
			return nil
		}
	}
}

// Status describes the extents of n bytes (at most 1 GiB) from off; it may cover
// less. If the server does not support it, everything is data.
func (c *Client) Status(off, n int64) ([]block.Extent, error) {
	n = min(n, 1<<30)
	if !c.allocation {
		return []block.Extent{{Length: n}}, nil
	}
	k := &call{cmd: cmdBlockStatus, off: off, n: n}
	err := c.run("list extents of export", k, 0, nil)
	return k.extents, err
}

func (c *Client) do(op string, cmd, flags uint16, off, n int64, out, in []byte) error {
	return c.run(op, &call{cmd: cmd, off: off, n: n, buf: in}, flags, out)
}

// run sends one request and waits for its reply.
func (c *Client) run(op string, k *call, flags uint16, payload []byte) error {
	k.done = make(chan struct{}, 1)
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return failed(op, c.name, c.err)
	}
	c.last++
	cookie := c.last
	c.calls[cookie] = k
	c.mu.Unlock()

	if err := c.request(k, cookie, flags, payload); err != nil {
		c.fail(err) // ends the receiver, which finishes k
	}
	<-k.done
	if k.err != nil {
		return failed(op, c.name, k.err)
	}
	return nil
}

func (c *Client) request(k *call, cookie uint64, flags uint16, payload []byte) error {
	c.send.Lock()
	defer c.send.Unlock()
	h := c.head[:]
	binary.BigEndian.PutUint32(h, magicRequest)
	binary.BigEndian.PutUint16(h[4:], flags)
	binary.BigEndian.PutUint16(h[6:], k.cmd)
	binary.BigEndian.PutUint64(h[8:], cookie)
	binary.BigEndian.PutUint64(h[16:], uint64(k.off))
	binary.BigEndian.PutUint32(h[24:], uint32(k.n))
	if len(payload) == 0 {
		_, err := c.nc.Write(h)
		return err
	}
	c.vec = [2][]byte{h, payload}
	c.bufs = c.vec[:]
	_, err := c.bufs.WriteTo(c.nc)
	c.vec = [2][]byte{}
	return err
}

// fail makes the connection unusable; the first reason stays.
func (c *Client) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	c.mu.Unlock()
	c.nc.Close()
}

// closeTimeout is how long a server may take to reply to what is in progress.
const closeTimeout = 5 * time.Second

// Close disconnects: it waits until the server has replied to the requests in
// progress and hung up.
func (c *Client) Close() error {
	c.mu.Lock()
	broken := c.err
	if broken == nil {
		c.err = net.ErrClosed // no new requests
	}
	c.mu.Unlock()
	if broken == nil {
		c.nc.SetDeadline(time.Now().Add(closeTimeout))
		c.request(&call{cmd: cmdDisc}, 0, 0, nil)
		<-c.done
	}
	c.nc.Close()
	<-c.done
	return nil
}

// Abort closes the socket without disconnecting first. Requests in progress fail.
func (c *Client) Abort() {
	c.fail(net.ErrClosed)
	<-c.done
}

// receive finishes calls as their replies come, until the connection ends.
func (c *Client) receive() {
	defer close(c.done)
	in := bufio.NewReaderSize(c.nc, bufferLen)
	var err error
	for err == nil {
		err = c.reply(in)
	}
	c.fail(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	for cookie, k := range c.calls {
		delete(c.calls, cookie)
		k.err = c.err
		k.done <- struct{}{}
	}
}

// serverErr is an error number of the wire as an error of this system.
func serverErr(e uint32) error {
	if errno(e) == enotsup {
		return syscall.EOPNOTSUPP
	}
	return syscall.Errno(e) // the protocol's other numbers are Linux's
}
