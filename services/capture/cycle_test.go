package capture

import (
	"bytes"
	"context"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/seedtest"
)

// alarms is a recorder that hears alarms too.
type alarms struct {
	*recorder
	mu     sync.Mutex
	raised map[AlarmKind]int
}

func (a *alarms) Alarm(_ cdp.GroupID, kind AlarmKind, _ string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.raised[kind]++
}

func (a *alarms) count(kind AlarmKind) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.raised[kind]
}

func (a *alarms) all() map[AlarmKind]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.raised)
}

func cycleWorld(t *testing.T) (*frozenWorld, *alarms) {
	f := newFrozenWorld(newWorld(t, seedtest.Seed(t)), cdp.CBT)
	a := &alarms{recorder: &f.log, raised: map[AlarmKind]int{}}
	f.deps.Events = a
	return f, a
}

// cycle makes a point and returns how many bytes of content were sent since the
// one before: a group that comes up begins a cycle unasked. The point is known
// before its snapshot is removed; only then the cycle is over.
func (f *frozenWorld) cycle() int64 {
	f.t.Helper()
	f.settle()
	f.eventually("no snapshot", func() bool { return f.left() == 0 })
	before := f.paid
	f.paid = f.sentBytes()
	return f.paid - before
}

func (f *frozenWorld) sentBytes() (n int64) {
	f.bus.with(func() { n = f.r.sent })
	return n
}

func (f *frozenWorld) put(d cdp.DiskID, off, n int64) {
	f.v.mu.Lock()
	defer f.v.mu.Unlock()
	f.v.smu.Lock()
	defer f.v.smu.Unlock()
	f.v.k++
	f.v.sum ^= put(f.v.disks[d], int(d), off, n, f.v.k<<8|1)
	f.v.was[f.v.sum] = append(f.v.was[f.v.sum], int(f.v.k))
	for b := off / cdp.BlockSize; b*cdp.BlockSize < off+n; b++ {
		f.v.block[d][b] = f.v.gen
	}
	f.v.done = append(f.v.done, time.Now().UnixNano())
}

// The first cycle sends what is allocated, each further one what changed, also
// after a restart. Each is a point of its snapshot's time.
func TestACycleSendsWhatChanged(t *testing.T) {
	f, a := cycleWorld(t)
	f.put(0, 128<<10, 64<<10)
	f.put(1, 0, 4096)
	f.up()
	if n := f.cycle(); n != 64<<10+4096 {
		t.Fatalf("the first cycle sent %d bytes", n)
	}
	if _, err := f.g.Mark(true); !cdp.Is(err, cdp.Conflict) {
		t.Fatalf("mark between two cycles: %v", err)
	}
	if err := f.g.guests.write(0, make([]byte, 512), 0); err == nil {
		t.Fatal("somebody wrote to it")
	}
	f.put(1, 256<<10, 4096)
	if n := f.cycle(); n != 4096 {
		t.Fatalf("the second cycle sent %d bytes", n)
	}
	if n := f.cycle(); n != 0 {
		t.Fatalf("nothing changed, and %d bytes were sent", n)
	}
	f.close(time.Second)
	f.put(0, 512<<10, 8192)
	f.up()
	if n := f.cycle(); n != 8192 {
		t.Fatalf("the cycle after a restart sent %d bytes", n)
	}
	f.crash()
	f.put(0, 0, 512)
	f.up()
	if n := f.cycle(); n != 4096 { // the rest of the block is zeros
		t.Fatalf("the cycle after a crash sent %d bytes", n)
	}
	if len(a.all()) != 0 || f.asked != 0 {
		t.Fatalf("alarms %v, %d bytes compared", a.all(), f.asked)
	}
	if st, err := os.Stat(chainPath(f.cfg, "shop")); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", st, err)
	}
	f.end()
}

// A change list that was reset, and a map that was lost, cost a comparison and
// not a seed.
func TestWhereChangesAreUnknownContentIsCompared(t *testing.T) {
	f, a := cycleWorld(t)
	for d, img := range f.v.disks {
		f.put(cdp.DiskID(d), 0, int64(len(img))/2/512*512)
	}
	f.up()
	if n := f.cycle(); n < 1<<20 {
		t.Fatalf("the seed sent %d bytes", n)
	}
	f.v.faults(func() { f.v.reset++ })
	f.put(0, 256<<10, 512)
	if n := f.cycle(); n != 64<<10 {
		t.Fatalf("after a reset %d bytes were sent", n)
	}
	f.eventually("an alarm for each disk", func() bool { return a.count(AlarmReset) == len(f.job.Disks) })
	if f.g.Status().Verified != f.g.Status().TotalBytes-64<<10 {
		t.Fatalf("%+v", f.g.Status())
	}
	if n := f.cycle(); n != 0 || a.count(AlarmReset) != 2 {
		t.Fatalf("then %d bytes, %v", n, a.all())
	}
	f.crash()
	f.deps.Boot = "boot-2"
	f.up()
	if n := f.cycle(); n != 0 {
		t.Fatalf("after a reboot %d bytes were sent", n)
	}
	// Without sums everything is sent again.
	f.crash()
	f.deps.Boot, f.deps.Sums = "boot-3", nil
	f.up()
	if n := f.cycle(); n < 1<<20 {
		t.Fatalf("without sums %d bytes were sent", n)
	}
	f.end()
}

// A seed that is at the target already is compared, holes included.
func TestASeedAtTheTargetIsNotSentAgain(t *testing.T) {
	f, _ := cycleWorld(t)
	f.job.Verify = true
	f.put(0, 0, 512<<10)
	f.bus.with(func() { // what somebody carried there
		for d := range f.v.disks {
			f.bus.images[d] = bytes.Clone(f.v.disks[d])
			f.r.img[d] = bytes.Clone(f.v.disks[d])
		}
		f.r.sum = f.v.sum
		for _, at := range []int64{100 << 10, 700 << 10} { // not all is right: data, and a hole
			fill(f.bus.images[0][at:at+512], 77)
			f.r.sum ^= put(f.r.img[0], 0, at, 512, 77)
		}
	})
	f.up()
	f.eventually("the cycle it makes by itself", func() bool { return f.g.Status().Durable > 0 && f.left() == 0 })
	if n := f.cycle(); n != 64<<10 { // the next one has nothing to send
		t.Fatalf("%d bytes were sent", n)
	}
	if s := f.g.Status(); s.Verified != s.TotalBytes-128<<10 || s.Done != s.Total || s.Done <= s.Verified {
		t.Fatalf("%+v", s)
	}
	f.end()
}

// A cycle is killed halfway; its snapshot is removed before the next is
// made, and the rest is sent.
func TestAKilledCycleGoesOn(t *testing.T) {
	f, _ := cycleWorld(t)
	f.up()
	f.cycle()
	f.put(0, 0, 1<<20) // together more than the window
	f.put(1, 0, 1<<20)
	f.bus.with(func() { f.bus.down = true })
	f.g.Cycle(0)
	f.eventually("a cycle under way", func() bool { return f.g.Status().Seq > 0 && f.g.Status().DirtyBytes > 0 })
	if f.left() != 1 || f.g.Status().Since.IsZero() {
		t.Fatalf("%d snapshots, %+v", f.left(), f.g.Status())
	}
	f.crash()
	if f.left() != 1 {
		t.Fatal("the crash removed it")
	}
	f.bus.with(func() { f.bus.down = false })
	f.up()
	f.cycle()
	f.end()
}

func (f *frozenWorld) left() (n int) {
	f.v.faults(func() { n = len(f.v.snaps) })
	return n
}

func (f *frozenWorld) taken() (n int) {
	f.v.faults(func() { n = f.v.taken })
	return n
}

// The cadence is from start to start. Alarms are raised for a cycle that is too
// slow for it, a snapshot that cannot be made, and one that is left.
func TestTheCadenceAndItsAlarms(t *testing.T) {
	f, a := cycleWorld(t)
	f.job.Every = 30 * time.Millisecond
	began := time.Now()
	f.up()
	markers := func() (n int) { f.bus.with(func() { n = f.bus.markers }); return n }
	f.eventually("five points", func() bool { return markers() >= 5 })
	if d := time.Since(began); d < 4*f.job.Every {
		t.Fatalf("five cycles in %v", d)
	}
	f.v.faults(func() { f.v.slow = 2 * f.job.Every })
	f.eventually("an overrun", func() bool { return a.count(AlarmOverrun) > 0 })
	f.v.faults(func() { f.v.slow, f.v.noFreeze = 0, transient })
	f.eventually("a failed freeze", func() bool { return a.count(AlarmFreeze) > 0 })
	// The status says why there are no points, as long as there are none.
	f.eventually("the reason", func() bool {
		err := f.g.Status().Failed
		return err != nil && strings.Contains(err.Error(), transient.Error())
	})
	before := markers()
	f.v.faults(func() { f.v.noFreeze = nil })
	f.eventually("points again", func() bool { return markers() > before+1 })
	f.eventually("no reason any more", func() bool { return f.g.Status().Failed == nil })
	f.v.faults(func() { f.v.noThaw = transient })
	f.eventually("a snapshot that stays", func() bool { return a.count(AlarmLeft) > 0 })
	time.Sleep(2 * f.job.Every)
	if f.left() > 1 || a.count(AlarmFreeze) != 1 {
		t.Fatalf("%d snapshots, %v", f.left(), a.all())
	}
	f.v.faults(func() { f.v.noThaw = nil })
	before = markers()
	f.eventually("points again", func() bool { return markers() > before+1 })
	f.end()
	if f.left() != 0 {
		t.Fatal("a snapshot is left")
	}
}

// A cycle that is not complete when the next one is due raises one alarm, while it
// runs.
func TestAnOverrunIsRaisedWhileTheCycleRuns(t *testing.T) {
	f, a := cycleWorld(t)
	f.up()
	f.cycle()
	f.close(time.Second)
	f.job.Every = 50 * time.Millisecond
	f.bus.with(func() { f.bus.down = true })
	f.put(0, 0, 1<<20) // together more than the window
	f.put(1, 0, 1<<20)
	f.bus.with(func() { f.bus.down = false })
	f.up()
	f.eventually("a cycle", func() bool { return f.left() == 1 })
	f.bus.with(func() { f.bus.down = true })
	f.eventually("an overrun", func() bool { return a.count(AlarmOverrun) > 0 })
	if f.left() != 1 {
		t.Error("it was raised after the cycle's end")
	}
	time.Sleep(4 * f.job.Every)
	if n := a.count(AlarmOverrun); n != 1 {
		t.Errorf("raised %d times", n)
	}
	f.heal()
	f.settle()
	f.end()
}

// A disk of the VM is extended: the part that the job names is still read. A disk
// that is too small is refused.
func TestAnExtendedDiskIsReadUpToTheJobsSize(t *testing.T) {
	f, a := cycleWorld(t)
	f.up()
	f.cycle()
	size := len(f.v.disks[0])
	resize := func(n int) {
		f.v.mu.Lock()
		defer f.v.mu.Unlock()
		f.v.faults(func() {
			f.v.disks[0] = append(f.v.disks[0][:size:size], make([]byte, 1<<20)...)[:n]
			for len(f.v.block[0]) < (n+cdp.BlockSize-1)/cdp.BlockSize {
				f.v.block[0] = append(f.v.block[0], f.v.gen)
			}
		})
	}
	resize(size + 1<<20)
	f.put(0, 64<<10, 64<<10)
	for range 2 {
		f.cycle()
	}
	if len(a.all()) != 0 {
		t.Error(a.all())
	}
	resize(size - cdp.SectorSize)
	f.g.Cycle(0)
	f.eventually("an alarm that it is too small", func() bool { return a.count(AlarmFreeze) > 0 })
	resize(size)
	f.cycle()
	f.end()
}

// A pass whose stream makes no progress is given up, and its snapshot with it.
func TestASnapshotDoesNotWaitForTheStreamForever(t *testing.T) {
	f, _ := cycleWorld(t)
	f.cfg.PassStall = 50 * time.Millisecond
	f.cfg.PassRetryMin, f.cfg.PassRetryMax = time.Hour, time.Hour
	f.up()
	f.cycle()
	f.put(0, 0, 1<<20)
	f.put(1, 0, 1<<20)
	f.bus.with(func() { f.bus.down = true })
	f.g.Cycle(0)
	f.eventually("the snapshot", func() bool { return f.left() == 1 })
	f.eventually("it is given up", func() bool { return f.left() == 0 })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := f.g.CyclePoint(ctx); !cdp.Is(err, cdp.Transient) {
		t.Fatalf("a point meanwhile: %v", err)
	}
	f.heal()
	f.close(time.Second)
	f.up()
	f.cycle()
	f.end()
}
