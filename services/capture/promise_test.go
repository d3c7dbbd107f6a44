package capture

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/seedtest"
)

// Guests write to disks that are served before the bus was ever reached, and go
// on while it dies. Their writes arrive without help.
func TestGuestsNeverWaitForTheBus(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	w.bus.with(func() { w.bus.down = true })
	w.up()
	w.write(100 * time.Microsecond)
	at := func() uint64 { return w.ops[0].Load() }
	w.eventually("operations while detached", func() bool { return at() > 100 })
	if s := w.g.Status().State; s != event.Detached {
		t.Fatalf("it is %s", s)
	}
	w.settle()
	w.eventually("a seed", func() bool { return w.log.saw(event.Seeding) })
	w.bus.with(func() { w.bus.down = true })
	w.eventually("overflow", w.state(event.Overflow))
	k := at()
	w.eventually("operations in overflow", func() bool { return at() > k+100 })
	w.settle()
	w.eventually("a resync", func() bool { return w.log.saw(event.Resyncing) })
	w.end()
}

// The link is down and the stream takes everything: the window does not fill,
// and a stream that then turns out to have lost the frames costs a resync of
// the regions they touched, not of the disks.
func TestTheStreamIsTheSpoolAndActivityKnowsWhatIsInIt(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	w.bus.with(func() { w.bus.oracles = nil })
	w.up()
	w.settle()
	w.bus.with(func() { w.bus.linkDown = true })
	buf := make([]byte, stripe)
	fill(buf, stamp(0, 1))
	one := func(off int64) {
		if err := w.g.guests.write(0, buf[:256<<10], off); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 { // four times the window
		one(0)
		w.eventually("room", func() bool { return w.g.Status().Pending < 3 })
	}
	w.eventually("all at the stream", func() bool { s := w.g.Status(); return s.Pending == 0 })
	if s := w.g.Status(); s.State != event.Replicating || s.DirtyBytes != 0 {
		t.Fatalf("%+v", s)
	}
	time.Sleep(20 * time.Millisecond)
	w.bus.lose(1000)
	w.bus.with(func() { w.bus.linkDown = false })
	w.log.mu.Lock()
	before := len(w.log.changes)
	w.log.mu.Unlock()
	one(0)
	w.eventually("the way back", func() bool {
		w.log.mu.Lock()
		defer w.log.mu.Unlock()
		return len(w.log.changes) >= before+2
	})
	w.eventually("replicating", w.state(event.Replicating))
	w.g.order.mu.Lock()
	total := w.g.order.total
	w.g.order.mu.Unlock()
	if total == 0 || total > stripe {
		t.Fatalf("%d bytes were resynced, the activity was 256 KiB", total)
	}
	w.point()
	w.bus.with(func() {
		if string(w.bus.images[0][:256<<10]) != string(buf[:256<<10]) {
			t.Error("the journal does not have the last write")
		}
	})
	w.end()
}

// A capturer that was replaced stops for good; its guests do not notice.
func TestAReplacedCapturerIsFenced(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	w.bus.with(func() { w.bus.oracles = nil })
	w.up()
	w.settle()
	job, cfg := worldJob(t.TempDir())
	g, err := OpenGroup(job, cfg, w.deps)
	if err != nil {
		t.Fatal(err)
	}
	g.Start()
	defer g.Close(context.Background())
	w.eventually("the other replicating", func() bool { return g.Status().State == event.Replicating })
	w.eventually("fenced", func() bool {
		if err := w.g.guests.write(0, make([]byte, 4096), 0); err != nil {
			t.Fatal(err)
		}
		if err := g.guests.write(1, make([]byte, 4096), 0); err != nil {
			t.Fatal(err)
		}
		return w.g.Status().State == event.Fenced || g.Status().State == event.Fenced
	})
	if g.Status().State == event.Fenced {
		t.Fatal("the newer one was fenced")
	}
	if err := w.g.guests.write(0, make([]byte, 4096), 0); err != nil {
		t.Fatalf("a guest's write failed: %v", err)
	}
	if _, err := w.g.Mark(true); !cdp.Is(err, cdp.Conflict) {
		t.Fatalf("mark: %v", err)
	}
	w.end()
}

// badDisk fails on demand.
type badDisk struct {
	Disk
	bad *atomic.Bool
}

func (d badDisk) WriteAt(p []byte, off int64, fua bool) error {
	if d.bad.Load() {
		d.Disk.WriteAt(p[:len(p)/2], off, fua) // some of it gets there
		return unix.EIO
	}
	return d.Disk.WriteAt(p, off, fua)
}

// The guest gets the disk's own error, and replication finds out what the disk
// holds now.
func TestAFailedWriteIsReadBackFromTheDisk(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	w.bus.with(func() { w.bus.oracles = nil })
	var bad atomic.Bool
	w.deps.Disk = func(path string, ro bool) (Disk, error) {
		d, err := openFile(path, ro)
		return badDisk{d, &bad}, err
	}
	w.up()
	w.settle()
	bad.Store(true)
	buf := make([]byte, 8192)
	fill(buf, 5)
	if err := w.g.guests.write(1, buf, 4096); !errors.Is(err, unix.EIO) {
		t.Fatalf("got %v", err)
	}
	bad.Store(false)
	w.eventually("replicating", w.state(event.Replicating))
	w.point()
	w.bus.with(func() {
		if w.bus.images[1][4096] != 5 || w.bus.images[1][8192] != 0 {
			t.Errorf("the journal holds %x, %x", w.bus.images[1][4096], w.bus.images[1][8192])
		}
	})
	w.end()
}

// A tap has no disk to read: it is consistent once its client says so, and asks
// for a new copy when writes were missed.
func TestATapIsConsistentWhenItsClientSaysSo(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	w.bus.with(func() { w.bus.oracles = nil })
	w.job.Mode = cdp.Tap
	for i := range w.job.Disks {
		w.job.Disks[i].Path = ""
	}
	w.up()
	w.eventually("seeding", w.state(event.Seeding))
	buf := make([]byte, 256<<10)
	if err := w.g.guests.read(0, buf, 0); !errors.Is(err, unix.EIO) {
		t.Fatalf("read: %v", err)
	}
	put := func() {
		t.Helper()
		fill(buf, stamp(0, 1))
		if err := w.g.guests.write(0, buf, 0); err != nil {
			t.Fatal(err)
		}
	}
	put()
	synced := func() {
		t.Helper()
		for d := range cdp.DiskID(disks) {
			if err := w.g.Synced(d); err != nil {
				t.Fatal(err)
			}
		}
	}
	synced()
	w.eventually("replicating", w.state(event.Replicating))
	w.g.clientGone(1, true)
	markers := func() (n int) { w.bus.with(func() { n = w.bus.markers }); return n }
	before := markers()
	w.g.clientGone(0, false)
	w.eventually("seeding after an unclean end", w.state(event.Seeding))
	w.eventually("a point of what came before", func() bool { return markers() == before+1 })
	synced()
	w.bus.with(func() { w.bus.down = true })
	w.eventually("overflow", func() bool { put(); return w.g.Status().State == event.Overflow })
	w.bus.with(func() { w.bus.down = false })
	w.eventually("needs resync", w.state(event.NeedsResync))
	if err := w.g.Synced(0); !cdp.Is(err, cdp.Conflict) {
		t.Fatalf("synced without a copy: %v", err)
	}
	for d := range cdp.DiskID(disks) {
		if err := w.g.CopyStarted(d); err != nil {
			t.Fatal(err)
		}
	}
	put()
	synced()
	w.eventually("replicating", w.state(event.Replicating))
	w.point()
	w.end()
}

// A first seed sends what is allocated, a seed over existing data everything.
func TestAFirstSeedSkipsHolesAndALaterOneSendsThemAsZeros(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	w.bus.with(func() { w.bus.oracles = nil })
	one := make([]byte, 4096)
	fill(one, 1<<8|1)
	f, _ := os.OpenFile(w.job.Disks[0].Path, os.O_RDWR, 0)
	f.WriteAt(one, 0)
	f.Close()
	w.up()
	w.eventually("replicating", w.state(event.Replicating))
	if w.g.Status().DirtyBytes != 0 || w.total() > 128<<10 {
		t.Fatalf("%d bytes were seeded, 4 KiB are allocated", w.total())
	}
	w.bus.with(func() { fill(w.bus.images[1], 77) }) // something stood there
	if err := w.g.Reseed(); err != nil {
		t.Fatal(err)
	}
	w.eventually("seeding", func() bool { return w.log.saw(event.Seeding) && w.g.Status().State == event.Replicating })
	w.point()
	w.bus.with(func() {
		if w.bus.images[1][5<<20] != 0 || string(w.bus.images[0][:4096]) != string(one) {
			t.Error("the journal is not what the disks are")
		}
	})
	w.end()
}

// While a region is copied a guest writes to it all the time.
func TestACopyUnderWritesIsTheNewestContent(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	w.cfg.Slots = 32
	w.up()
	w.write(300 * time.Microsecond)
	w.eventually("writes", func() bool { return w.ops[0].Load() > 500 })
	for range 5 {
		if err := w.g.Reseed(); err != nil {
			t.Fatal(err)
		}
		w.eventually("replicating", w.state(event.Replicating))
	}
	w.settle()
	w.end()
}

// Many clients write the same few blocks at once: whatever order the disk saw,
// the journal saw the same.
func TestOverlappingWritesReachDiskAndJournalInOneOrder(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	w.bus.with(func() { w.bus.oracles = nil })
	w.up()
	w.eventually("replicating", w.state(event.Replicating))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			buf := make([]byte, 64<<10)
			for k := range 300 {
				fill(buf, stamp(i, uint64(k+1)))
				n := 4096 * (1 + (i+k)%16)
				if err := w.g.guests.write(0, buf[:n], int64((i*k)%5)*4096); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	w.settle()
	w.end()
}
