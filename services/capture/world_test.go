package capture

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// world is one group on one machine, and its bus.
type world struct {
	t    testing.TB
	dir  string
	seed uint64
	bus  *bus
	job  Job
	cfg  Config
	deps GroupDeps
	g    *Group

	log   recorder
	ops   [writers]atomic.Uint64 // done
	pause sync.RWMutex           // held by a writer for each operation
	stop  chan struct{}
	wg    sync.WaitGroup
}

type recorder struct {
	mu      sync.Mutex
	changes []Change
	last    Progress
}

func (r *recorder) StateChanged(c Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, c)
}
func (r *recorder) Progress(p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = p
}
func (r *recorder) ListenerFailed(cdp.GroupID, error) {}

func (r *recorder) saw(s event.CaptureState) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.changes {
		if c.To == s {
			return true
		}
	}
	return false
}

func newWorld(t testing.TB, seed uint64) *world {
	w := &world{t: t, dir: t.TempDir(), seed: seed, bus: newBus(seed), stop: make(chan struct{})}
	w.job, w.cfg = worldJob(w.dir)
	w.deps = GroupDeps{
		Stream: func(cdp.GroupID) (Stream, error) { return w.bus.open(), nil },
		Epochs: epochs{w.bus}, Journal: journal{w.bus}, Events: &w.log, Boot: "boot-1", Disk: openFile, Servers: nbdServers{},
	}
	go func() { // the journal
		for {
			select {
			case <-w.stop:
				return
			case <-time.After(time.Millisecond):
				w.bus.pull(16)
			}
		}
	}()
	return w
}

func worldJob(dir string) (Job, Config) {
	job := Job{Group: "shop", Mode: cdp.Inline}
	for d := range disks {
		path := filepath.Join(dir, fmt.Sprintf("disk%d", d))
		if _, err := os.Stat(path); err != nil {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				panic(err)
			}
			if err := os.Truncate(path, diskSize); err != nil {
				panic(err)
			}
		}
		job.Disks = append(job.Disks, JobDisk{Disk: cdp.Disk{ID: cdp.DiskID(d), Name: fmt.Sprintf("disk%d", d), Size: diskSize}, Path: path})
	}
	return job, Config{
		StateDir: filepath.Join(dir, "state"), WindowDir: filepath.Join(dir, "window"), Slots: 6,
		RetryMin: time.Millisecond, RetryMax: 8 * time.Millisecond, AckTimeout: 100 * time.Millisecond,
		AskTimeout: time.Second, ActivityEvery: time.Millisecond, ProgressEvery: 10 * time.Millisecond,
		OverflowHold: 5 * time.Millisecond,
	}
}

func (w *world) up() {
	w.t.Helper()
	g, err := OpenGroup(w.job, w.cfg, w.deps)
	if err != nil {
		w.t.Fatal(err)
	}
	g.Start()
	w.g = g
}

// crash ends the process as far as that can be done from inside it: between two
// writes, with frames in the window and on their way.
func (w *world) crash() {
	g := w.g
	g.cancel()
	<-g.done
	g.sender.stream.Close()
	g.order.out.win.Close()
	for _, d := range g.disks {
		if d.dev != nil {
			d.dev.Close()
		}
	}
	g.order.book.Close(false)
}

// write starts the guests; they write until the world stops.
func (w *world) write(pace time.Duration) {
	for i := range writers {
		w.wg.Go(func() {
			buf := make([]byte, stripe)
			for k := uint64(1); ; k++ {
				select {
				case <-w.stop:
					return
				default:
				}
				w.pause.RLock()
				if err := opOf(w.seed, i, k).do(w.g, i, k, buf); err != nil {
					w.t.Errorf("writer %d, operation %d failed: %v", i, k, err)
				}
				w.ops[i].Store(k)
				w.pause.RUnlock()
				if pace > 0 {
					time.Sleep(pace)
				}
			}
		})
	}
}

// still stops guests for f.
func (w *world) still(f func()) {
	w.pause.Lock()
	defer w.pause.Unlock()
	f()
}

func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if err := w.bus.err(); err != nil {
			w.t.Fatalf("after %d and %d operations: %v", w.ops[0].Load(), w.ops[1].Load(), err)
		}
		if f() {
			return
		}
	}
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	w.t.Fatalf("not in time: %s; %+v; last changes %v", what, w.g.Status(), w.log.changes[max(0, len(w.log.changes)-10):])
}

func (w *world) state(s event.CaptureState) func() bool {
	return func() bool { return w.g.Status().State == s }
}

// settle lets everything heal, and compares the journal with the disks and
// against what the guests were answered.
func (w *world) settle() {
	w.t.Helper()
	w.bus.heal()
	w.still(func() {
		w.point()
		w.compare()
	})
}

// point marks a recovery point and waits until the journal has it. Frames that
// the stream lost meanwhile may give their numbers to others: then once more.
func (w *world) point() {
	w.t.Helper()
	var p cdp.Point
	var epoch cdp.Epoch
	w.eventually("a recovery point at the journal", func() bool {
		s := w.g.Status()
		if p.Frame == 0 || s.Epoch != epoch || s.State != event.Replicating {
			var err error
			if p, err = w.g.Mark(true); err != nil {
				p.Frame = 0
			}
			epoch = s.Epoch
			return false
		}
		return s.Durable >= p.Frame
	})
}

func (w *world) compare() {
	w.t.Helper()
	w.bus.mu.Lock()
	defer w.bus.mu.Unlock()
	for d, j := range w.job.Disks {
		disk, err := os.ReadFile(j.Path)
		if err != nil {
			w.t.Fatal(err)
		}
		if !bytes.Equal(disk, w.bus.images[d]) {
			for b := range blocks {
				if x, y := disk[b*4096:(b+1)*4096], w.bus.images[d][b*4096:(b+1)*4096]; !bytes.Equal(x, y) {
					w.t.Errorf("disk %d block %d: source %x, journal %x", d, b, x[:8], y[:8])
					break
				}
			}
		}
	}
	for i, o := range w.bus.oracles {
		done := w.ops[i].Load()
		o.upTo(done)
		for d := range disks {
			for x := range int64(blocks) {
				if v, err := word(w.bus.images[d], x); o.owns(x) && (err != nil || v != o.at(d, x, done)) {
					w.t.Errorf("writer %d was answered %d operations; disk %d block %d is of %d, not %d (%v)", i, done, d, x, v>>8, o.at(d, x, done)>>8, err)
				}
			}
		}
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}

func (w *world) end() {
	w.t.Helper()
	close(w.stop)
	w.wg.Wait()
	if w.g == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := w.g.Close(ctx); err != nil {
		w.t.Error(err)
	}
	b := w.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	w.t.Logf("%d + %d operations, %d frames, %d of them consistent, %d checked, %d markers, frames refused %d times, stream recreated %d times, epoch %d",
		w.ops[0].Load(), w.ops[1].Load(), b.journal.No, b.consistent, b.checked, b.markers, b.refused, b.recreated, b.epoch)
}
