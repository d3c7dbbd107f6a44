package nbd

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// conn is one client, from accept to close.
type conn struct {
	srv  *Server
	base net.Conn // the socket
	nc   net.Conn // base, or TLS over it
	who  string   // the other end, for people
	from string   // the client, for the limits; see clientOf
	peer Peer

	since     uint64 // order among those that use an export; guarded by srv.mu
	displaced bool   // another has its place; guarded by srv.mu

	in  reader
	out writer
	exp *servedExport // nil until the client chose one
	neg negotiated

	com      committer
	lockstep lockstep

	scratch []byte // of the request being served, at most pieceLen; see memory

	draining atomic.Bool // written under mu
	mu       sync.Mutex
	state    connState // guarded by mu
}

// connState says how a connection can be ended.
type connState uint8

const (
	// handshaking: no request is in progress; close the socket.
	handshaking connState = iota
	// transmitting: requests may be in progress; stop reading and let them end.
	transmitting
)

// negotiated is the result of the handshake.
type negotiated struct {
	structured bool   // structured replies
	allocation bool   // the client may ask for base:allocation
	metaExport string // the export that allocation was negotiated for
}

// keepAlive finds a client whose machine is gone within half a minute, so that its
// place is free when the machine is back.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// drain ends the connection as soon as the requests in progress have replies.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining.Store(true)
	if c.state == handshaking {
		c.base.Close()
		return
	}
	c.base.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
}

// kill closes the socket at once.
func (c *conn) kill() { c.base.Close() }

// begin enters the transmission phase; false if the connection was drained during
// the handshake.
func (c *conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining.Load() {
		return false
	}
	c.state = transmitting
	return c.base.SetDeadline(time.Time{}) == nil
}

// serve runs the connection to its end and reports how it went.
func (c *conn) serve(ctx context.Context) {
	defer c.base.Close()
	c.base.SetDeadline(time.Now().Add(c.srv.cfg.HandshakeTimeout))
	if t, ok := c.base.(*net.TCPConn); ok {
		t.SetNoDelay(true) // replies are batched here already
		t.SetKeepAliveConfig(keepAlive)
	}
	h := handshake{conn: c, ctx: ctx}
	err := h.run()
	if c.exp == nil {
		if err != nil {
			c.srv.event(Event{Kind: EventRefused, Peer: c.peer, Err: err})
		}
		c.shutdown()
		return
	}
	clean := false
	if err == nil {
		c.srv.event(Event{Kind: EventConnect, Export: c.exp.Name, Peer: c.peer})
		clean, err = c.transmission()
	}
	c.shutdown()
	if c.exp.OnDisconnect != nil {
		c.exp.OnDisconnect(c.peer, clean)
	}
	c.srv.detach(c)
	c.srv.event(Event{Kind: EventDisconnect, Export: c.exp.Name, Peer: c.peer, Clean: clean, Err: err})
}

// shutdown shuts down TLS, as the protocol requires, then the socket.
func (c *conn) shutdown() {
	if t, ok := c.nc.(*tls.Conn); ok {
		t.Close()
	}
	c.base.Close()
}

// transmission serves requests until the client leaves. It returns when every
// request that it read has been served.
func (c *conn) transmission() (clean bool, err error) {
	if !c.begin() {
		return false, nil
	}
	c.in = reader{src: c.nc, buf: make([]byte, bufferLen), idle: c.sendReplies}
	c.out.dst = c.nc
	c.out.buf = make([]byte, 0, bufferLen)
	c.lockstep.watch(c.base)
	c.com = committer{queue: make(chan uint64, maxWaiting), done: make(chan struct{})}
	go c.com.run(&c.exp.commit, c.answer)

	clean, err = c.requests()

	close(c.com.queue)
	<-c.com.done
	c.sendReplies()
	if c.draining.Load() || errors.Is(err, io.EOF) {
		err = nil // drained, or the client left between requests: no error
	}
	return clean, err
}

// sendReplies sends what is gathered, before the reader may block.
func (c *conn) sendReplies() error {
	c.out.Lock()
	defer c.out.Unlock()
	return c.out.send()
}
