package nbd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serveTCP serves exports at a port of this machine until the test ends.
func serveTCP(t *testing.T, cfg Config, exports ...Export) (*Server, string) {
	t.Helper()
	s := New(cfg)
	for _, e := range exports {
		must(t, s.AddExport(e))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); must(t, <-done) })
	return s, l.Addr().String()
}

// from connects to addr from a host of the loopback network, 127.0.0.n.
func from(t *testing.T, n byte, addr string) *rawClient {
	t.Helper()
	nc, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, n)}}).Dial("tcp", addr)
	must(t, err)
	must(t, nc.SetDeadline(time.Now().Add(time.Minute)))
	t.Cleanup(func() { nc.Close() })
	return &rawClient{t, nc}
}

// use takes an export, or says that it did not get it.
func (c *rawClient) use(name string) (got bool) {
	c.t.Helper()
	c.read(18)
	c.write(clientFlags(3), option(optGo, goData(name)))
	for {
		switch typ, _ := c.optReply(); typ {
		case repAck:
			return true
		case repErrPolicy:
			return false
		}
	}
}

// works checks that the connection still has its export.
func (c *rawClient) works(what string) {
	c.t.Helper()
	c.write(req(cmdFlush, 0, 7, 0, 0))
	if cookie, e := c.simpleReply(); cookie != 7 || e != 0 {
		c.t.Errorf("%s: reply %d, error %d", what, cookie, e)
	}
}

func TestHalfHandshakesLockNobodyOut(t *testing.T) {
	s, addr := serveTCP(t, Config{HandshakeTimeout: time.Hour, MaxHandshakes: 8}, Export{Name: "d", Backend: newMemory(512)})
	slow := from(t, 4, addr)
	slow.read(18)
	for i := range 40 {
		c := from(t, 2, addr)
		c.read(18)
		c.write([]byte{0, 0, 0, 3}[:i%5]) // from nothing to all of the flags
	}
	slow.write(clientFlags(3), option(optGo, goData("d")))
	for typ := uint32(0); typ != repAck; {
		typ, _ = slow.optReply() // one connection is not closed for the sake of the forty
	}
	guest := from(t, 3, addr)
	if !guest.use("d") {
		t.Fatal("the guest is refused")
	}
	guest.works("the guest")
	s.mu.Lock()
	if n := len(s.waiting); n > 8 {
		t.Errorf("%d connections negotiate", n)
	}
	s.mu.Unlock()
}

// The attack: as many connections as the server takes, all of them idle.
func TestIdleConnectionsLockNobodyOut(t *testing.T) {
	s, addr := serveTCP(t, Config{}, Export{Name: "d", Backend: newMemory(512)})
	idle := make([]*rawClient, 128)
	for i := range idle {
		idle[i] = from(t, 2, addr)
		if !idle[i].use("d") {
			t.Fatalf("connection %d is refused", i)
		}
	}
	if from(t, 2, addr).use("d") {
		t.Error("there is room for a 129th")
	}
	guest := from(t, 3, addr)
	if !guest.use("d") {
		t.Fatal("128 idle connections lock the guest out")
	}
	idle[127].closed("the newest of the idle connections")
	for range 10 {
		if from(t, 2, addr).use("d") {
			t.Error("an idle client takes a place from the guest")
		}
	}
	guest.works("the guest")
	idle[0].works("the first of the idle connections")
	if n := len(s.Clients()); n != 128 {
		t.Errorf("%d clients", n)
	}
}

func TestLimitsOfAClientAndOfAnExport(t *testing.T) {
	_, addr := serveTCP(t, Config{MaxConnections: 6, MaxPerPeer: 4}, Export{Name: "a", MaxConns: 3, Backend: newMemory(512)}, Export{Name: "b", Backend: newMemory(512)})
	var held []*rawClient
	for i, step := range []struct {
		host byte
		disk string
		want bool
	}{
		{2, "a", true}, {2, "a", true}, {2, "a", true}, {2, "a", false}, // the export is full
		{2, "b", true}, {2, "b", false}, // the client has its four
		{3, "a", true}, {3, "b", true}, // one of 2's three on a gives way
		{4, "a", true}, {5, "a", false}, // another; then each has one, and nobody loses it
		{4, "b", true}, {5, "b", true}, {6, "b", true}, // the server is full: 2 gives way, then 3
	} {
		c := from(t, step.host, addr)
		if got := c.use(step.disk); got != step.want {
			t.Fatalf("step %d: client %d gets %s: %v", i, step.host, step.disk, got)
		}
		held = append(held, c)
	}
	held[6].works("client 3's first")
	held[8].works("client 4's first")
	held[10].works("client 4's second")
}

// A machine that is gone says nothing. The kernel asks, and frees its place.
func TestAClientThatIsGoneIsFound(t *testing.T) {
	s, addr := serveTCP(t, Config{}, Export{Name: "d", Backend: newMemory(512)})
	if !from(t, 2, addr).use("d") {
		t.Fatal("refused")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	raw, err := s.exports["d"].conns[0].base.(*net.TCPConn).SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		for opt, want := range map[int]int{unix.TCP_KEEPIDLE: 15, unix.TCP_KEEPINTVL: 5, unix.TCP_KEEPCNT: 3} {
			if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, opt); got != want || err != nil {
				t.Errorf("option %d is %d, want %d (%v)", opt, got, want, err)
			}
		}
	}))
}

// A client learns nothing of an export that it may not have, by any option.
func TestAnExportIsForThoseWhoMayHaveIt(t *testing.T) {
	m := newMemory(512)
	_, addr := serveTCP(t, Config{}, Export{Name: "mine", Backend: newMemory(512)},
		Export{Name: "theirs", Description: "secret", Backend: m, OnConnect: func(Peer) error { return errors.New("it got here") },
			Allow: func(p Peer) error { return fmt.Errorf("%s has no business here", p.Addr) }})
	c := from(t, 2, addr)
	c.read(18)
	c.write(clientFlags(3), option(optList, nil))
	if typ, data := c.optReply(); typ != repServer || string(data[4:]) != "mine" {
		t.Errorf("LIST: %#x %q", typ, data)
	}
	if typ, data := c.optReply(); typ != repAck {
		t.Errorf("LIST goes on: %#x %q", typ, data)
	}
	c.write(option(optStructuredReply, nil))
	c.optReply()
	for what, o := range map[string][]byte{
		"INFO": option(optInfo, goData("theirs")), "GO": option(optGo, goData("theirs")),
		"LIST_META": option(optListMeta, metaData("theirs")), "SET_META": option(optSetMeta, metaData("theirs", contextAllocation)),
	} {
		c.write(o)
		if typ, data := c.optReply(); typ != repErrPolicy || string(data) != "refused: "+c.LocalAddr().String()+" has no business here" {
			t.Errorf("%s: %#x %q", what, typ, data)
		}
	}
	c.write(option(optExportName, []byte("theirs")))
	c.closed("EXPORT_NAME")
	if m.calls != 0 {
		t.Error("the backend was used")
	}
}
