package nbd

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/blockfile"
	"tidemark.dev/pkg/core/block"
)

// memory is a block device in RAM that counts its calls and can be made to fail.
type memory struct {
	mu      sync.Mutex
	b       []byte
	fail    error // for all but Flush
	flush   func() error
	flushes int
	writes  int
	calls   int
	fua     int // writes marked so
}

func newMemory(n int) *memory { return &memory{b: make([]byte, n)} }

func (m *memory) Size() int64 { return int64(len(m.b)) }

func (m *memory) begin() func() {
	m.mu.Lock()
	m.calls++
	return m.mu.Unlock
}

func (m *memory) ReadAt(p []byte, off int64) error {
	defer m.begin()()
	copy(p, m.b[off:off+int64(len(p))])
	return m.fail
}

func (m *memory) WriteAt(p []byte, off int64, fua bool) error {
	defer m.begin()()
	m.writes++
	if fua {
		m.fua++
	}
	if m.fail == nil {
		copy(m.b[off:off+int64(len(p))], p)
	}
	return m.fail
}

func (m *memory) Zero(off, n int64, flags block.ZeroFlags) error {
	defer m.begin()()
	if flags&block.ZeroFast != 0 {
		return syscall.EOPNOTSUPP
	}
	if m.fail == nil {
		clear(m.b[off : off+n])
	}
	return m.fail
}

func (m *memory) Trim(off, n int64, fua bool) error {
	return m.Zero(off, n, 0)
}

func (m *memory) Flush() error {
	m.mu.Lock()
	m.flushes++
	f := m.flush
	m.mu.Unlock()
	if f != nil {
		return f()
	}
	return nil
}

// rig is a server on a unix socket that must leave no goroutine behind.
type rig struct {
	*Server
	t    testing.TB
	sock string

	cancel func() // tells Serve to end
	stop   func() // ends Serve, waits for it and checks what is left
}

func newRig(t testing.TB, cfg Config, exports ...Export) *rig {
	t.Helper()
	before := runtime.NumGoroutine()
	r := &rig{Server: New(cfg), t: t, sock: filepath.Join(shortDir(t), "s")}
	for _, e := range exports {
		if err := r.AddExport(e); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", r.sock)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	served := make(chan error, 1)
	go func() { served <- r.Serve(ctx, l) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		r.mu.Lock()
		for _, x := range r.exports {
			r.waiting = append(r.waiting, x.conns...)
		}
		if n := len(r.waiting); n != 0 {
			t.Errorf("%d connections are still counted", n)
		}
		r.mu.Unlock()
		checkGoroutines(t, before)
	})
	t.Cleanup(r.stop)
	return r
}

// shortDir is a directory whose name fits into a unix socket's address.
func shortDir(t testing.TB) string {
	d, err := os.MkdirTemp("", "nbd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(d) })
	return d
}

func checkGoroutines(t testing.TB, before int) {
	deadline := time.Now().Add(time.Minute)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			b := make([]byte, 1<<16)
			t.Errorf("goroutines leaked: %d before, %d now\n%s", before, runtime.NumGoroutine(), b[:runtime.Stack(b, true)])
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (r *rig) dial(export string) *Client {
	r.t.Helper()
	return r.dialWith(Dialer{}, export)
}

func (r *rig) dialWith(d Dialer, export string) *Client {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := d.Dial(ctx, "unix", r.sock, export)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

func (r *rig) uri(export string) string {
	return "nbd+unix:///" + export + "?socket=" + r.sock
}

// packages names the Debian package of each tool the tests need.
var packages = map[string]string{
	"qemu-img": "qemu-utils", "qemu-io": "qemu-utils", "nbdinfo": "libnbd-bin",
	"nbdcopy": "libnbd-bin", "fio": "fio", "nbd-client": "nbd-client", "nbdkit": "nbdkit",
}

// tool runs a real client; one that is not installed fails the test.
func tool(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := toolErr(t, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func toolErr(t testing.TB, name string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing: apt-get install %s", name, packages[name])
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

// newDisk makes a sparse file of n bytes as a backend.
func newDisk(t testing.TB, n int64) *blockfile.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, n); err != nil {
		t.Fatal(err)
	}
	d, err := blockfile.Open(path, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
