package capture

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// frozenWorld is a world with a machine instead of disks.
type frozenWorld struct {
	*world
	v       *vm
	h       *host
	r       *replay
	reports bool                // the machine's clients report its writes; guarded by v.mu
	mute    map[cdp.DiskID]bool // disks whose client does not; guarded by v.mu
	asked   int64               // bytes whose sums were asked for; guarded by bus.mu
	paid    int64               // bytes of content sent up to the last cycle
}

func newFrozenWorld(w *world, mode cdp.CaptureMode) *frozenWorld {
	sizes := []int64{1<<20 + 64<<10 + 1536, 3 << 19}
	f := &frozenWorld{world: w, v: newVM(w.seed, sizes...)}
	f.r = &replay{v: f.v, cbt: mode == cdp.CBT}
	w.job = Job{Group: "shop", Mode: mode, Frozen: true}
	if mode == cdp.CBT {
		w.job.Every = time.Hour
	}
	w.bus.with(func() {
		w.bus.oracles, w.bus.watch = nil, f.r.see
		for d, n := range sizes {
			w.bus.images[d] = make([]byte, n)
			f.r.img = append(f.r.img, make([]byte, n))
			w.job.Disks = append(w.job.Disks, JobDisk{Disk: cdp.Disk{ID: cdp.DiskID(d), Name: fmt.Sprintf("disk%d", d), Size: n}})
		}
	})
	w.cfg.PassRetryMin, w.cfg.PassRetryMax = time.Millisecond, 8*time.Millisecond
	w.deps.Sums = func(_ context.Context, t cdp.Site, _ cdp.GroupID, d cdp.DiskID, off, n int64, block int) (out [][32]byte, err error) {
		w.bus.mu.Lock()
		defer w.bus.mu.Unlock()
		if w.bus.linkDown || w.bus.down {
			return nil, transient
		}
		f.asked += n
		for img := w.bus.images[d][off : off+n]; len(img) > 0; img = img[min(block, len(img)):] {
			out = append(out, sha256.Sum256(img[:min(block, len(img))]))
		}
		return out, nil
	}
	return f
}

func (f *frozenWorld) up() {
	f.t.Helper()
	f.h = &host{vm: f.v}
	f.deps.Snapshots, f.deps.Disk = f.h, f.h.Disk
	f.world.up()
}

// crash: what the process made of snapshots stays. The machine's client has
// nobody to talk to; call it while the machine is still.
func (f *frozenWorld) crash() {
	f.reports = false
	f.h.kill()
	f.world.crash()
}

// close ends the process in order. A freeze may wait for the machine, so call it
// while the machine is still but not from a write.
func (f *frozenWorld) close(d time.Duration) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := f.g.Close(ctx); err != nil {
		f.t.Error(err)
	}
}

// connect: the machine's client comes back and says that it is live.
func (f *frozenWorld) connect() {
	f.v.mu.Lock()
	f.reports, f.mute = true, map[cdp.DiskID]bool{}
	f.v.mu.Unlock()
	f.live()
}

func (f *frozenWorld) live() {
	f.t.Helper()
	for d := range f.job.Disks {
		f.g.order.mu.Lock()
		f.g.order.taps.of[d].clients = 1
		f.g.order.mu.Unlock()
		if err := f.g.Live(cdp.DiskID(d)); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *frozenWorld) still(do func()) {
	f.v.mu.Lock()
	defer f.v.mu.Unlock()
	do()
}

// gone: the clients go without a goodbye.
func (f *frozenWorld) gone() {
	f.still(func() {
		for d := range f.job.Disks {
			f.leave(cdp.DiskID(d), false)
		}
	})
}

// leave: the client of a disk goes, with a goodbye or without, and the machine
// may write on. Call it while the machine is still.
func (f *frozenWorld) leave(d cdp.DiskID, clean bool) {
	if f.reports && !f.mute[d] {
		f.mute[d] = true
		f.g.clientGone(d, clean)
	}
}

// tell reports a write, as the client does.
func (f *frozenWorld) tell(w guestWrite) error {
	if w.data == nil {
		return f.g.guests.zero(w.disk, w.off, w.n, 0)
	}
	return f.g.guests.write(w.disk, w.data, w.off)
}

// run writes until the world stops.
func (f *frozenWorld) run(pace time.Duration, most int64) {
	f.wg.Go(func() {
		for {
			select {
			case <-f.stop:
				return
			default:
			}
			f.pause.RLock()
			f.one(most)
			f.pause.RUnlock()
			time.Sleep(pace)
		}
	})
}

func (f *frozenWorld) one(most int64) {
	var tell func(guestWrite) error
	if f.job.Mode == cdp.Tap {
		tell = func(w guestWrite) error {
			if !f.reports || f.mute[w.disk] {
				return nil
			}
			return f.tell(w)
		}
	}
	if err := f.v.write(most, tell); err != nil {
		f.t.Errorf("a guest's write failed: %v", err)
	}
}

func (f *frozenWorld) eventually(what string, do func() bool) {
	f.t.Helper()
	f.world.eventually(what, func() bool {
		f.v.smu.Lock()
		err := f.v.broken
		f.v.smu.Unlock()
		if err != nil {
			f.t.Fatal(err)
		}
		return do()
	})
}

// same compares the journal with the machine, which must be still.
func (f *frozenWorld) same() {
	f.t.Helper()
	f.bus.mu.Lock()
	defer f.bus.mu.Unlock()
	for d, img := range f.v.disks {
		for at := 0; at < len(f.bus.images[d]); at += cdp.SectorSize {
			if a, b := img[at:at+cdp.SectorSize], f.bus.images[d][at:at+cdp.SectorSize]; !bytes.Equal(a, b) {
				f.t.Fatalf("disk %d sector %d: source %x, journal %x", d, at/cdp.SectorSize, a[:8], b[:8])
			}
		}
	}
}

func (f *frozenWorld) heal() {
	f.bus.heal()
	f.v.faults(func() { f.v.noFreeze, f.v.noThaw, f.v.noChanges, f.v.slow = nil, nil, nil, 0 })
}

// settle lets everything heal and compares.
func (f *frozenWorld) settle() {
	f.t.Helper()
	f.heal()
	f.pause.Lock()
	defer f.pause.Unlock()
	if f.job.Mode == cdp.Tap {
		f.eventually("replicating", func() bool {
			switch f.g.Status().State {
			case event.NeedsResync:
				f.connect()
			case event.Replicating:
				return true
			}
			return false
		})
		f.point()
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		p, err := f.g.CyclePoint(ctx)
		if err != nil {
			f.t.Fatalf("%v; %+v", err, f.g.Status())
		}
		f.eventually("the point at the journal", func() bool { return f.g.Status().Durable >= p.Frame && f.g.Status().State == event.Replicating })
	}
	f.same()
}
