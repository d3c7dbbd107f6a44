package capture

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/seedtest"
)

// A job is applied; a client writes, zeroes, flushes and reads through NBD; what
// it wrote is at the journal; the service stops, starts again and goes on without
// a new seed.
func TestAClientOverNBDIsReplicated(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	w.bus.with(func() { w.bus.oracles = nil })
	w.job.Listen = []Listen{{Network: "unix", Address: filepath.Join(w.dir, "nbd.sock")}}
	buf := make([]byte, 4<<20)
	fill(buf, 0x1234567)
	for round := range 2 {
		s, err := NewGroups(w.cfg, w.deps)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ran := make(chan error, 1)
		go func() { ran <- s.Run(ctx) }()
		for range 2 { // twice is once
			if err := s.Apply(ctx, w.job); err != nil {
				t.Fatal(err)
			}
		}
		if w.g, err = s.Group("shop"); err != nil {
			t.Fatal(err)
		}
		w.eventually("replicating", w.state(event.Replicating))
		if round == 1 && w.total() != 0 {
			t.Fatalf("%d bytes were sent again", w.total())
		}
		c, want := overNBD(t, w.job.Listen[0].Address, buf)
		w.eventually("replicating", w.state(event.Replicating))
		w.point()
		w.bus.with(func() {
			if !bytes.Equal(w.bus.images[1], want) {
				t.Fatal("the journal holds something else")
			}
		})
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-ran; err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(context.Background(), w.job); !cdp.Is(err, cdp.Transient) {
			t.Fatalf("apply after the end: %v", err)
		}
	}
	s, err := NewGroups(w.cfg, w.deps)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(context.Background(), "shop", ""); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{w.cfg.StateDir, w.cfg.WindowDir} {
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("purged, and %v is left", left)
		}
	}
	close(w.stop)
}

// overNBD has a client write, zero, trim and read disk1, and returns it with what
// the disk holds then.
func overNBD(t *testing.T, socket string, buf []byte) (c *nbd.Client, want []byte) {
	t.Helper()
	c, err := nbd.Dial(t.Context(), "unix", socket, "disk1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteAt(buf, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := c.Trim(1<<20, 64<<10); err != nil {
		t.Fatal(err)
	}
	if err := c.Zero(2<<20, 4096, 0); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, diskSize)
	want = make([]byte, diskSize)
	copy(want[1<<20:], buf)
	clear(want[1<<20 : 1<<20+64<<10])
	clear(want[2<<20 : 2<<20+4096])
	if _, err := c.ReadAt(got, 0); err != nil || !bytes.Equal(want, got) {
		t.Fatalf("it reads back something else (%v)", err)
	}
	return c, want
}

func TestABadJobNamesItsField(t *testing.T) {
	w := newWorld(t, 1)
	defer close(w.stop)
	s, err := NewGroups(w.cfg, w.deps)
	if err != nil {
		t.Fatal(err)
	}
	for field, edit := range map[string]func(*Job){
		"group":      func(j *Job) { j.Group = "Shop" },
		"mode":       func(j *Job) { j.Mode = "both" },
		"disks":      func(j *Job) { j.Disks = nil },
		"disks.name": func(j *Job) { j.Disks[1].Name = j.Disks[0].Name },
		"disks.size": func(j *Job) { j.Disks[1].Size = 100 },
		"disks.path": func(j *Job) { j.Disks[1].Path = "" },
		"frozen":     func(j *Job) { j.Frozen = true },
		"verify":     func(j *Job) { j.Mode, j.Verify = cdp.Tap, true },
		"every":      func(j *Job) { j.Mode = cdp.CBT },
		"listen": func(j *Job) {
			j.Mode, j.Every, j.Listen = cdp.CBT, time.Minute, []Listen{{Network: "unix"}}
		},
		"listen.network": func(j *Job) { j.Listen = []Listen{{Network: "udp"}} },
	} {
		j := w.job
		j.Disks = append([]JobDisk(nil), j.Disks...)
		edit(&j)
		err := s.Apply(context.Background(), j)
		var e *cdp.Error
		if !cdp.Is(err, cdp.Invalid) || !asSubject(err, &e, field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if len(s.IDs()) != 0 {
		t.Fatal("something runs")
	}
	w.job.Disks[0].Size *= 2
	if err := s.Apply(context.Background(), w.job); !cdp.Is(err, cdp.Invalid) {
		t.Fatalf("a disk of another size: %v", err)
	}
}

func asSubject(err error, e **cdp.Error, field string) bool {
	for err != nil {
		if x, ok := err.(*cdp.Error); ok {
			if *e = x; x.Subject == field {
				return true
			}
			err = x.Cause
			continue
		}
		return false
	}
	return false
}

// When the window finds no room on tmpfs it goes beside the map.
func TestAWindowFallsBackToTheStateDirectory(t *testing.T) {
	w := newWorld(t, 1)
	w.cfg.WindowDir = filepath.Join(w.dir, "file")
	os.WriteFile(w.cfg.WindowDir, nil, 0o600)
	for range 2 {
		w.up()
		w.eventually("replicating", w.state(event.Replicating))
		if got := filepath.Dir(w.g.order.out.win.Path()); got != w.cfg.StateDir {
			t.Fatalf("it lies in %s", got)
		}
		w.crash()
	}
	close(w.stop)
}

func benchGroup(b testing.TB) *Group {
	w := newWorld(b, 1)
	w.job.Mode = cdp.Tap
	w.cfg.Slots = 32
	shm, err := os.MkdirTemp("/dev/shm", "tidemark-bench-") // not another run's
	if err != nil {
		b.Fatal(err)
	}
	w.cfg.WindowDir = shm
	b.Cleanup(func() { os.RemoveAll(shm); close(w.stop) })
	w.bus.with(func() { w.bus.oracles = nil })
	g, err := OpenGroup(w.job, w.cfg, w.deps)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { g.release(false) })
	for i := range g.order.taps.of {
		g.order.taps.of[i].synced = true
	}
	g.order.why.attached = true
	g.order.update("for the benchmark")
	return g
}

// BenchmarkWrite4K is a tap's write from the NBD server's call to its return,
// with the window recycled as if the stream acknowledged at once.
func BenchmarkWrite4K(b *testing.B) {
	g := benchGroup(b)
	buf := make([]byte, 4096)
	b.SetBytes(4096)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		g.guests.write(0, buf, int64(i%1024)*4096)
		g.order.out.acked = g.order.out.win.Closed()
	}
}

func TestAWriteAllocatesNothing(t *testing.T) {
	g := benchGroup(t)
	buf := make([]byte, 4096)
	i := 0
	if n := testing.AllocsPerRun(2000, func() {
		if err := g.guests.write(0, buf, int64(i%1024)*4096); err != nil {
			t.Fatal(err)
		}
		i++
		g.order.out.acked = g.order.out.win.Closed()
	}); n != 0 {
		t.Fatalf("%v allocations per write", n)
	}
}
