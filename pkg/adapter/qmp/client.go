package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"time"
)

// Client is one QMP connection. Its methods may be called from several
// goroutines. One goroutine reads the connection until Close.
type Client struct {
	conn    net.Conn
	version Version
	sending chan struct{} // holds one token: the right to write to conn
	done    chan struct{} // closed when the reader has ended

	mu      sync.Mutex
	nextID  uint64
	waiting map[uint64]chan<- message // one slot each; nil: the caller has given up
	events  []Event                   // not yet taken, oldest first; at most Backlog
	changed chan struct{}             // closed and replaced when events or err change
	err     error                     // why the connection ended; nil while it is up
}

// Version is QEMU's, from its greeting.
type Version struct {
	Major   int    `json:"major"`
	Minor   int    `json:"minor"`
	Micro   int    `json:"micro"`
	Package string `json:"-"`
}

// Dial connects to the unix socket at path and leaves capability negotiation.
// A socket that does not exist or accept yet is an error, not waited for. ctx
// bounds the handshake only.
func Dial(ctx context.Context, path string) (*Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("qmp: connect: %w", err)
	}
	c := &Client{
		conn:    conn,
		sending: make(chan struct{}, 1),
		done:    make(chan struct{}),
		waiting: map[uint64]chan<- message{},
		changed: make(chan struct{}),
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	r := bufio.NewReaderSize(conn, 64<<10)
	c.version, err = readGreeting(r)
	if err != nil || !stop() {
		conn.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("qmp: greeting from %s: %w", path, err)
	}
	go c.read(r)
	if err := c.Execute(ctx, "qmp_capabilities", nil, nil); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Version returns QEMU's version as greeted.
func (c *Client) Version() Version { return c.version }

// Close ends the connection and returns when the reading goroutine has ended.
// Calls in progress fail with ErrClosed. QEMU and its block jobs keep running.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	<-c.done
	return nil
}

// Done is closed when the connection has ended, by Close or by QEMU; Err says why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the connection ended, or nil while it is up.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Execute runs one command: args is marshalled as its arguments unless nil, and
// the reply's return value is decoded into out unless nil. QEMU runs commands in
// the order sent. When ctx ends first, the command may still run; its reply is
// dropped.
//
// Errors: *Error when QEMU refused the command; ctx's; ErrClosed; or, for every
// call from then on, what broke the connection.
func (c *Client) Execute(ctx context.Context, cmd string, args, out any) error {
	reply := make(chan message, 1)
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return fmt.Errorf("qmp: %s: %w", cmd, c.err)
	}
	c.nextID++
	id := c.nextID
	c.waiting[id] = reply
	c.mu.Unlock()

	line, err := json.Marshal(request{Execute: cmd, Arguments: args, ID: id})
	if err != nil {
		c.forget(id)
		return fmt.Errorf("qmp: %s: marshal arguments: %w", cmd, err)
	}
	if err := c.send(ctx, append(line, '\n')); err != nil {
		c.forget(id)
		return fmt.Errorf("qmp: %s: %w", cmd, err)
	}
	select {
	case m, ok := <-reply:
		switch {
		case !ok:
			return fmt.Errorf("qmp: %s: %w", cmd, c.Err())
		case m.Error != nil:
			return &Error{Command: cmd, Class: m.Error.Class, Desc: m.Error.Desc}
		case out == nil:
			return nil
		}
		if err := json.Unmarshal(m.Return, out); err != nil {
			return fmt.Errorf("qmp: %s: decode reply: %w", cmd, err)
		}
		return nil
	case <-ctx.Done():
		c.abandon(id)
		return fmt.Errorf("qmp: %s: %w", cmd, ctx.Err())
	}
}

// send writes one line. A line cut short by ctx breaks the connection: QEMU
// would read the next command as its end.
func (c *Client) send(ctx context.Context, line []byte) error {
	select {
	case c.sending <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return c.Err()
	}
	defer func() { <-c.sending }()
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.conn.SetWriteDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	n, err := c.conn.Write(line)
	if !stop() {
		<-interrupted
		c.conn.SetWriteDeadline(time.Time{})
	}
	if err == nil {
		return nil
	}
	if n > 0 || ctx.Err() == nil {
		c.fail(fmt.Errorf("write: %w", err))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.Err()
}

// forget drops a request that was never sent.
func (c *Client) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

// abandon remembers the id, so that its late reply is not a protocol error.
func (c *Client) abandon(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.waiting[id]; ok {
		c.waiting[id] = nil
	}
}

// fail ends the connection with err, unless it has ended already.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	c.conn.Close()
	for id, reply := range c.waiting {
		if reply != nil {
			close(reply)
		}
		delete(c.waiting, id)
	}
	c.wake()
}
