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
	nc   net.Conn // what is spoken through: base, or TLS over it
	peer Peer

	in  reader
	out writer
	exp *export // nil until the client chose one
	neg negotiated

	com   committer
	alone solitude

	scratch *[]byte // memory of the request being served; see memory

	draining atomic.Bool // written under mu
	mu       sync.Mutex
	state    connState // guarded by mu
}

// connState says how a connection can be ended.
type connState uint8

const (
	// handshaking: nothing is under way; close the socket.
	handshaking connState = iota
	// transmitting: requests may be under way; stop reading and let them end.
	transmitting
)

// negotiated is what the handshake settled.
type negotiated struct {
	structured bool   // structured replies
	allocation bool   // base:allocation may be asked for
	metaExport string // the export allocation was negotiated for
}

// drain ends the connection as soon as the requests under way are answered.
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

// kill closes the socket under whatever is going on.
func (c *conn) kill() { c.base.Close() }

// begin enters the transmission phase; false if the connection was told to
// end during the handshake.
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
	}
	h := handshake{conn: c, ctx: ctx}
	err := h.run()
	if c.exp == nil {
		if err != nil {
			c.srv.event(Event{Kind: EventRefused, Peer: c.peer, Err: err})
		}
		c.goodbye()
		return
	}
	clean := false
	if err == nil {
		c.srv.event(Event{Kind: EventConnect, Export: c.exp.Name, Peer: c.peer})
		clean, err = c.transmission()
	}
	c.goodbye()
	if c.exp.OnDisconnect != nil {
		c.exp.OnDisconnect(c.peer, clean)
	}
	c.srv.detach(c)
	c.srv.event(Event{Kind: EventDisconnect, Export: c.exp.Name, Peer: c.peer, Clean: clean, Err: err})
}

// goodbye shuts down TLS as the protocol asks for, then the socket.
func (c *conn) goodbye() {
	if t, ok := c.nc.(*tls.Conn); ok {
		t.Close()
	}
	c.base.Close()
}

// transmission serves requests until the client leaves. It returns only when
// every request it took is done with.
func (c *conn) transmission() (clean bool, err error) {
	if !c.begin() {
		return false, nil
	}
	c.in = reader{src: c.nc, buf: make([]byte, bufferLen), idle: c.sendReplies}
	c.out.dst = c.nc
	c.out.buf = make([]byte, 0, bufferLen)
	c.alone.watch(c.base)
	c.com = committer{queue: make(chan uint64, maxWaiting), done: make(chan struct{})}
	go c.com.run(&c.exp.group, c.answer)

	clean, err = c.requests()

	close(c.com.queue)
	<-c.com.done
	c.sendReplies()
	c.release()
	if c.draining.Load() || errors.Is(err, io.EOF) {
		err = nil // sent away, or left between requests: nothing went wrong
	}
	return clean, err
}

// sendReplies sends what is gathered, before the reader may block.
func (c *conn) sendReplies() error {
	c.out.Lock()
	defer c.out.Unlock()
	return c.out.send()
}
