package nbd

import (
	"bytes"
	"syscall"
	"testing"
	"time"
)

// TestHostileBytes sends what no honest client sends. The server must hang up
// and go on serving others.
func TestHostileBytes(t *testing.T) {
	m := newMemory(1 << 20)
	r := newRig(t, Config{HandshakeTimeout: 300 * time.Millisecond}, Export{Name: "a", Backend: m})
	enter := join(clientFlags(3), option(optExportName, []byte("a")))
	for what, b := range map[string][]byte{
		"unknown client flags":        clientFlags(0xff),
		"half the client flags":       {0, 0},
		"no option magic":             join(clientFlags(3), bytes.Repeat([]byte{0x41}, 64)),
		"an option without newstyle":  join(clientFlags(0), option(optList, nil)),
		"an option of 4 GiB":          join(clientFlags(3), optionOf(optGo, 1<<32-1, nil)),
		"an option cut short":         join(clientFlags(3), optionOf(optGo, 100, []byte("short"))),
		"a too big option cut short":  join(clientFlags(3), optionOf(optGo, maxOption+5, []byte("short"))),
		"an unknown export":           join(clientFlags(3), option(optExportName, []byte("nope"))),
		"a name of 64 KiB":            join(clientFlags(3), option(optExportName, make([]byte, maxOption))),
		"requests before the options": join(clientFlags(3), req(cmdRead, 0, 1, 0, 512)),
		"a bad request magic":         join(enter, make([]byte, 28)),
		"a write of 4 GiB":            join(enter, req(cmdWrite, 0, 1, 0, 1<<32-1)),
		"options in transmission":     join(enter, option(optGo, goData("a")), make([]byte, 28)),
		"replies":                     join(enter, bytes.Repeat(be.AppendUint32(nil, magicSimple), 7)),
	} {
		c := r.raw()
		c.Write(b)
		if be.Uint32(append(b, 0, 0, 0, 0)) == 3 && len(b) > len(enter) && bytes.HasPrefix(b, enter) {
			// In transmission there is no timeout: hanging up must be the server's doing.
			c.closed(what)
			continue
		}
		c.closed(what)
	}
	c := r.dialInTime("a")
	must(t, c.Flush())
	if m.calls != 0 {
		t.Errorf("%d calls reached the backend", m.calls)
	}
}

// TestLeavesMidway cuts the connection at each byte of a write: the write must
// not happen.
func TestLeavesMidway(t *testing.T) {
	m := newMemory(1 << 20)
	r := newRig(t, Config{}, Export{Name: "a", Backend: m})
	whole := join(req(cmdWrite, 0, 1, 0, 512), bytes.Repeat([]byte{9}, 512))
	for cut := 0; cut < len(whole); cut += 29 {
		c := r.raw()
		c.enter("a")
		c.write(whole[:cut])
		c.Close()
	}
	large := r.raw()
	large.enter("a")
	large.write(req(cmdWrite, 0, 1, 0, 1<<20), make([]byte, 1<<19))
	large.Close()
	r.stop()
	if m.writes != 0 {
		t.Errorf("%d writes", m.writes)
	}
}

// TestRefusedWriteKeepsTheStreamInSync checks that a refused write's payload is dropped,
// at every size that takes another path.
func TestRefusedWriteKeepsTheStreamInSync(t *testing.T) {
	r := newRig(t, Config{}, Export{Name: "a", Backend: newMemory(1 << 20)})
	c := r.raw()
	c.enter("a")
	for i, tc := range []struct {
		n    uint32
		off  uint64
		want syscall.Errno
	}{
		{0, 0, syscall.EINVAL},
		{100, 0, syscall.EINVAL},
		{512, 1 << 20, syscall.ENOSPC},
		{70000, 0, syscall.EINVAL},
		{1 << 20, 512, syscall.ENOSPC},
		{maxRequest + 512, 0, syscall.EOVERFLOW},
	} {
		go c.Write(join(req(cmdWrite, 0, uint64(i), tc.off, tc.n), make([]byte, tc.n),
			req(cmdRead, 0, 1000, 0, 512)))
		if cookie, e := c.simpleReply(); cookie != uint64(i) || syscall.Errno(e) != tc.want {
			t.Fatalf("write of %d: reply %d, error %d, want %d", tc.n, cookie, e, tc.want)
		}
		if cookie, e := c.simpleReply(); cookie != 1000 || e != 0 {
			t.Fatalf("after a write of %d: reply %d, error %d", tc.n, cookie, e)
		}
		c.read(512)
	}
}

// TestByteByByte sends a whole session one byte at a time.
func TestByteByByte(t *testing.T) {
	r := newRig(t, Config{}, Export{Name: "a", Backend: newMemory(1 << 20)})
	c := r.raw()
	for _, b := range join(clientFlags(3), option(optExportName, []byte("a")),
		req(cmdWrite, 0, 1, 512, 512), bytes.Repeat([]byte{3}, 512), req(cmdRead, 0, 2, 512, 512)) {
		c.write([]byte{b})
	}
	c.read(10)
	if cookie, e := c.simpleReply(); cookie != 1 || e != 0 {
		t.Errorf("write: reply %d, error %d", cookie, e)
	}
	if cookie, e := c.simpleReply(); cookie != 2 || e != 0 {
		t.Errorf("read: reply %d, error %d", cookie, e)
	}
	if got := c.read(512); got[0] != 3 || got[511] != 3 {
		t.Errorf("read back %d", got[0])
	}
}

// TestDeafClient never reads its replies. It must not disturb others, and must
// not hold up the end.
func TestDeafClient(t *testing.T) {
	m := newMemory(8 << 20)
	r := newRig(t, Config{DrainTimeout: 200 * time.Millisecond}, Export{Name: "a", Backend: m, MultiConn: true})
	deaf := r.raw()
	deaf.enter("a")
	for i := range uint64(64) {
		deaf.write(req(cmdRead, 0, i, 0, 1<<20))
	}
	flood := r.raw()
	flood.enter("a")
	go flood.Write(bytes.Repeat(req(cmdFlush, 0, 1, 0, 0), 100_000))
	c := r.dial("a")
	for range 20 {
		_, err := c.WriteFUA(make([]byte, 4096), 0)
		must(t, err)
	}
	start := time.Now()
	r.stop()
	if d := time.Since(start); d > time.Minute {
		t.Errorf("the end took %v", d)
	}
}
