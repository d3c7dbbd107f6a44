package nbd

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

// The bytes of requests, for clients that a Client would not be.

var be = binary.BigEndian

func clientFlags(f uint32) []byte { return be.AppendUint32(nil, f) }

func option(opt uint32, data []byte) []byte { return optionOf(opt, uint32(len(data)), data) }

func optionOf(opt, n uint32, data []byte) []byte {
	b := be.AppendUint64(nil, magicOption)
	b = be.AppendUint32(b, opt)
	b = be.AppendUint32(b, n)
	return append(b, data...)
}

func str(s string) []byte { return append(be.AppendUint32(nil, uint32(len(s))), s...) }

func goData(name string, infos ...uint16) []byte {
	b := be.AppendUint16(str(name), uint16(len(infos)))
	for _, i := range infos {
		b = be.AppendUint16(b, i)
	}
	return b
}

func metaData(name string, queries ...string) []byte {
	b := be.AppendUint32(str(name), uint32(len(queries)))
	for _, q := range queries {
		b = append(b, str(q)...)
	}
	return b
}

func req(cmd, flags uint16, cookie, off uint64, n uint32) []byte {
	b := be.AppendUint32(nil, magicRequest)
	b = be.AppendUint16(b, flags)
	b = be.AppendUint16(b, cmd)
	b = be.AppendUint64(b, cookie)
	b = be.AppendUint64(b, off)
	return be.AppendUint32(b, n)
}

func join(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// rawClient speaks bytes.
type rawClient struct {
	t testing.TB
	net.Conn
}

func (r *rig) raw() *rawClient {
	r.t.Helper()
	nc, err := net.Dial("unix", r.sock)
	must(r.t, err)
	nc.SetDeadline(time.Now().Add(time.Minute))
	r.t.Cleanup(func() { nc.Close() })
	c := &rawClient{r.t, nc}
	c.read(18)
	return c
}

func (c *rawClient) write(b ...[]byte) {
	c.t.Helper()
	_, err := c.Write(join(b...))
	must(c.t, err)
}

func (c *rawClient) read(n int) []byte {
	c.t.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	must(c.t, err)
	return b
}

// optReply reads one option reply.
func (c *rawClient) optReply() (typ uint32, data []byte) {
	c.t.Helper()
	h := c.read(20)
	if be.Uint64(h) != magicOptReply {
		c.t.Fatalf("option reply %x", h)
	}
	return be.Uint32(h[12:]), c.read(int(be.Uint32(h[16:])))
}

// enter goes into transmission with simple replies.
func (c *rawClient) enter(name string) {
	c.t.Helper()
	c.write(clientFlags(3), option(optExportName, []byte(name)))
	c.read(10)
}

func (c *rawClient) simpleReply() (cookie uint64, e uint32) {
	c.t.Helper()
	h := c.read(16)
	if be.Uint32(h) != magicSimple {
		c.t.Fatalf("reply %x", h)
	}
	return be.Uint64(h[8:]), be.Uint32(h[4:])
}

// closed checks that the server hangs up, whatever it says before.
func (c *rawClient) closed(what string) {
	c.t.Helper()
	// A reset is a hang-up too: the server left some of our bytes unread.
	if _, err := io.Copy(io.Discard, c); err != nil {
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			c.t.Errorf("%s: the connection stays open", what)
		}
	}
}
