package nbd

import (
	"bytes"
	"context"
	"errors"
	"math/rand"
	"sync"
	"syscall"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/block"
)

// TestRoundTrip runs every command over both backends and both reply styles.
func TestRoundTrip(t *testing.T) {
	const size = 40 << 20
	pattern := make([]byte, size)
	rand.New(rand.NewSource(2)).Read(pattern)
	for name, backend := range map[string]block.Device{
		"memory": newMemory(size), "file": newDisk(t, size),
	} {
		for style, d := range map[string]Dialer{"structured": {}, "simple": {Simple: true}} {
			t.Run(name+"/"+style, func(t *testing.T) {
				r := newRig(t, Config{}, Export{Name: "disk", Backend: backend, MultiConn: true})
				c := r.dialWith(d, "disk")
				if c.Size() != size || c.ReadOnly() || !c.MultiConn() || c.MinBlock() != 512 {
					t.Fatalf("export: %d bytes, flags %#x, block %d", c.Size(), c.flags, c.MinBlock())
				}
				rnd := rand.New(rand.NewSource(1))
				for _, n := range []int{512, 4096, 12288, 16384, 16896, 65536, 1 << 20, 3 << 20, 33 << 20} {
					want := pattern[rnd.Intn(size-n):][:n]
					off := rnd.Int63n((size-int64(n))/512+1) * 512
					if _, err := c.WriteAt(want, off); err != nil {
						t.Fatal(err)
					}
					got := make([]byte, n)
					if _, err := c.ReadAt(got, off); err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(got, want) {
						t.Fatalf("%d bytes at %d came back different", n, off)
					}
				}
				must(t, c.Flush())
				must(t, c.Zero(4096, 1<<20, 0))
				must(t, c.Zero(2<<20, 1<<20, block.ZeroNoHole|block.ZeroFUA))
				must(t, c.Trim(4<<20, 1<<20))
				_, err := c.WriteFUA(bytes.Repeat([]byte{7}, 512), 4096)
				must(t, err)
				got := make([]byte, 1<<20)
				_, err = c.ReadAt(got, 4096)
				must(t, err)
				if got[0] != 7 || got[511] != 7 || !bytes.Equal(got[512:], make([]byte, 1<<20-512)) {
					t.Fatal("zeroed bytes do not read as zeros")
				}
				must(t, c.Close())
			})
		}
	}
}

// TestConcurrentClients compares many goroutines on several connections with a
// plain byte slice.
func TestConcurrentClients(t *testing.T) {
	const parts, part = 8, 1 << 20
	m := newMemory(parts * part)
	r := newRig(t, Config{}, Export{Name: "d", Backend: m, MultiConn: true})
	clients := []*Client{r.dial("d"), r.dialWith(Dialer{Simple: true}, "d"), r.dial("d")}
	var wg sync.WaitGroup
	for p := range parts {
		wg.Go(func() {
			c, rnd, base := clients[p%len(clients)], rand.New(rand.NewSource(int64(p))), int64(p*part)
			model := make([]byte, part)
			for range 150 {
				n := (1 + rnd.Intn(80)) * 512
				off := rnd.Intn((part-n)/512) * 512
				buf := model[off : off+n]
				var err error
				switch rnd.Intn(8) {
				case 0:
					err = c.Flush()
				case 1:
					clear(buf)
					err = c.Zero(base+int64(off), int64(n), 0)
				case 2, 3, 4:
					rnd.Read(buf)
					_, err = c.WriteAt(buf, base+int64(off))
				case 5:
					rnd.Read(buf)
					_, err = c.WriteFUA(buf, base+int64(off))
				default:
					got := make([]byte, n)
					if _, err = c.ReadAt(got, base+int64(off)); err == nil && !bytes.Equal(got, buf) {
						err = errors.New("read differs from the model")
					}
				}
				if err != nil {
					t.Errorf("part %d: %v", p, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestStatus checks holes of a real file through the client.
func TestStatus(t *testing.T) {
	d := newDisk(t, 8<<20)
	r := newRig(t, Config{}, Export{Backend: d})
	c := r.dial("")
	_, err := c.WriteAt(make([]byte, 1<<20), 2<<20)
	must(t, err)
	ext, err := c.Status(0, 8<<20)
	must(t, err)
	want := []block.Extent{{Length: 2 << 20, Hole: true, Zero: true}, {Length: 1 << 20}, {Length: 5 << 20, Hole: true, Zero: true}}
	if len(ext) != 3 || ext[0] != want[0] || ext[1] != want[1] || ext[2] != want[2] {
		t.Fatalf("extents %v, want %v", ext, want)
	}
	if ext, err = c.Status(1<<20, 2<<20); err != nil || len(ext) != 2 || ext[1].Length != 1<<20 {
		t.Fatalf("extents %v, %v", ext, err)
	}
}

// TestServerErrors checks which number each bad request earns, and that the
// connection outlives it.
func TestServerErrors(t *testing.T) {
	m := newMemory(1 << 20)
	r := newRig(t, Config{}, Export{Name: "rw", Backend: m}, Export{Name: "ro", Backend: newMemory(1 << 20), ReadOnly: true})
	for style, d := range map[string]Dialer{"structured": {}, "simple": {Simple: true}} {
		rw, ro := r.dialWith(d, "rw"), r.dialWith(d, "ro")
		buf := make([]byte, 64<<10)
		write := func(c *Client, n int, off int64) error { _, err := c.WriteAt(buf[:n], off); return err }
		read := func(c *Client, n int, off int64) error { _, err := c.ReadAt(buf[:n], off); return err }
		for _, tc := range []struct {
			what string
			err  error
			want error
		}{
			{"write beyond the end", write(rw, 4096, 1<<20-512), syscall.ENOSPC},
			{"large write beyond the end", write(rw, 64<<10, 1<<20), syscall.ENOSPC},
			{"zero beyond the end", rw.Zero(1<<20, 512, 0), syscall.ENOSPC},
			{"read beyond the end", read(rw, 4096, 1<<20-512), syscall.EINVAL},
			{"trim beyond the end", rw.Trim(1<<20-512, 1024), syscall.EINVAL},
			{"offset wraps", read(rw, 512, -512), syscall.EINVAL},
			{"unaligned write", write(rw, 100, 0), syscall.EINVAL},
			{"unaligned offset", read(rw, 512, 7), syscall.EINVAL},
			{"trim of nothing", rw.Trim(0, 0), syscall.EINVAL},
			{"fast zero", rw.Zero(0, 512, block.ZeroFast), syscall.EOPNOTSUPP},
			{"unknown command", rw.do("x", 99, 0, 0, 0, nil, nil), syscall.EINVAL},
			{"unknown flag", rw.do("x", cmdWrite, 1<<9, 0, 512, buf[:512], nil), syscall.EINVAL},
			{"flush with a range", rw.do("x", cmdFlush, 0, 512, 512, nil, nil), syscall.EINVAL},
			{"too long a read", rw.do("x", cmdRead, 0, 0, maxRequest+512, nil, nil), syscall.EOVERFLOW},
			{"cache", rw.do("x", cmdCache, 0, 0, 4096, nil, nil), nil},
			{"cache beyond the end", rw.do("x", cmdCache, 0, 1<<20, 4096, nil, nil), syscall.EINVAL},
			{"write to a read-only export", write(ro, 512, 0), syscall.EPERM},
			{"trim of a read-only export", ro.Trim(0, 512), syscall.EPERM},
			{"zero of a read-only export", ro.Zero(0, 512, 0), syscall.EPERM},
			{"read of a read-only export", read(ro, 512, 0), nil},
			{"still alive", write(rw, 512, 0), nil},
		} {
			if !errors.Is(tc.err, tc.want) || tc.want == nil && tc.err != nil {
				t.Errorf("%s, %s: %v, want %v", style, tc.what, tc.err, tc.want)
			}
		}
	}
}

// TestBackendErrors checks how a backend's errors reach the client.
func TestBackendErrors(t *testing.T) {
	for _, tc := range []struct{ have, want error }{
		{syscall.ENOSPC, syscall.ENOSPC},
		{&cdp.Error{Op: "x", Cause: syscall.EDQUOT}, syscall.ENOSPC},
		{syscall.EROFS, syscall.EPERM},
		{syscall.ENOMEM, syscall.ENOMEM},
		{syscall.ESHUTDOWN, syscall.ESHUTDOWN},
		{syscall.EOPNOTSUPP, syscall.EOPNOTSUPP},
		{syscall.ENOENT, syscall.EIO},
		{errors.New("whatever"), syscall.EIO},
		{context.Canceled, syscall.EIO},
	} {
		m := newMemory(1 << 20)
		var mu sync.Mutex
		var seen []error
		r := newRig(t, Config{Events: func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Kind == EventBackendError {
				seen = append(seen, e.Err)
			}
		}}, Export{Backend: m})
		c := r.dial("")
		m.mu.Lock()
		m.fail = tc.have
		m.flush = func() error { return tc.have }
		m.mu.Unlock()
		buf := make([]byte, 64<<10)
		_, e1 := c.ReadAt(buf[:512], 0)
		_, e2 := c.ReadAt(buf, 0)
		_, e3 := c.WriteAt(buf, 0)
		for i, err := range []error{e1, e2, e3, c.Zero(0, 512, 0), c.Trim(0, 512), c.Flush()} {
			if !errors.Is(err, tc.want) {
				t.Errorf("%v, call %d: %v, want %v", tc.have, i, err, tc.want)
			}
		}
		c.Close()
		r.stop()
		if len(seen) != 6 || !errors.Is(seen[0], tc.have) {
			t.Errorf("%v: events %v", tc.have, seen)
		}
	}
}
