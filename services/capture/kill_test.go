package capture

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/seedtest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("TIDEMARK_CAPTURE_CHILD"); dir != "" {
		seed, _ := strconv.ParseUint(os.Getenv("TIDEMARK_SEED"), 10, 64)
		if err := child(dir, seed); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	log.SetOutput(io.Discard) // net/rpc tells of a listener that was closed
	goleak.VerifyTestMain(m)
}

// shared is memory of parent and child: what the guests were answered.
type shared struct {
	acked [writers]atomic.Uint64
	last  atomic.Bool // the child finishes instead of writing
}

func mapShared(dir string) (*shared, error) {
	f, err := os.OpenFile(filepath.Join(dir, "shared"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(4096); err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*shared)(unsafe.Pointer(&mem[0])), nil
}

// child is a capture process with its guests. A guest that finds its last
// operation not acknowledged does it again, as one that never had its reply.
func child(dir string, seed uint64) error {
	sh, err := mapShared(dir)
	if err != nil {
		return err
	}
	r, err := dialBus(filepath.Join(dir, "bus"))
	if err != nil {
		return err
	}
	job, cfg := worldJob(dir)
	g, err := OpenGroup(job, cfg, GroupDeps{Stream: func(cdp.GroupID) (Stream, error) { return r, nil }, Epochs: r, Journal: r, Disk: openFile})
	if err != nil {
		return err
	}
	g.Start()
	if sh.last.Load() {
		return finish(g)
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			buf := make([]byte, stripe)
			for k := sh.acked[w].Load() + 1; ; k++ {
				if err := opOf(seed, w, k).do(g, w, k, buf); err != nil {
					panic(err)
				}
				sh.acked[w].Store(k)
				time.Sleep(100 * time.Microsecond)
			}
		})
	}
	wg.Wait()
	return nil
}

func finish(g *Group) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if g.Status().State != event.Replicating {
			continue
		}
		p, err := g.Mark(true)
		if err != nil {
			continue
		}
		for g.Status().Durable < p.Frame && time.Now().Before(end) {
			time.Sleep(time.Millisecond)
		}
		return g.Close(context.Background())
	}
	return fmt.Errorf("not replicating in time: %+v", g.Status())
}

// The process is killed at any instruction, again and again, while two guests
// write and the link comes and goes. Every consistent frame is a state the
// disks were in; in the end the journal is the disks, and every write that was
// acknowledged is in it.
func TestKillNineLosesNothing(t *testing.T) {
	seed := seedtest.Seed(t)
	rng := rand.New(rand.NewPCG(seed, 9))
	w := newWorld(t, seed)
	ln, err := w.bus.listen(filepath.Join(w.dir, "bus"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	sh, err := mapShared(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	start := func() *exec.Cmd {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "TIDEMARK_CAPTURE_CHILD="+w.dir, fmt.Sprintf("TIDEMARK_SEED=%d", seed))
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	kills := 25
	if testing.Short() {
		kills = 8
	}
	for kill := range kills {
		w.bus.with(func() {
			w.bus.down, w.bus.linkDown = kill > 0 && rng.IntN(6) == 0, rng.IntN(4) == 0
			w.bus.slow = time.Duration(rng.IntN(3)) * time.Millisecond
		})
		c := start()
		before := sh.acked[0].Load()
		for end := time.Now().Add(time.Minute); sh.acked[0].Load() == before && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(rng.IntN(150_000)) * time.Microsecond)
		c.Process.Signal(unix.SIGKILL)
		c.Wait()
		if err := w.bus.err(); err != nil {
			t.Fatalf("kill %d: %v", kill, err)
		}
	}
	w.bus.with(func() { w.bus.down, w.bus.linkDown, w.bus.slow = false, false, 0 })
	sh.last.Store(true)
	c := start()
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(90 * time.Second):
		c.Process.Kill()
		t.Fatal("the last process did not finish")
	}
	if err := w.bus.err(); err != nil {
		t.Fatal(err)
	}
	close(w.stop)
	compareKilled(t, w, sh)
	b := w.bus
	t.Logf("%d kills over %d + %d operations, %d frames, %d consistent, %d checked, epoch %d",
		kills, sh.acked[0].Load(), sh.acked[1].Load(), b.journal.No, b.consistent, b.checked, b.epoch)
}

func compareKilled(t *testing.T, w *world, sh *shared) {
	t.Helper()
	b := w.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	for d, j := range w.job.Disks {
		disk, err := os.ReadFile(j.Path)
		if err != nil {
			t.Fatal(err)
		}
		if string(disk) != string(b.images[d]) {
			t.Fatalf("the journal is not disk %d", d)
		}
	}
	for i, o := range b.oracles {
		// The one operation without a reply may be there, or in part.
		k := sh.acked[i].Load()
		o.upTo(k + 1)
		var words [disks][blocks]uint64
		for d := range disks {
			for x := range int64(blocks) {
				words[d][x], _ = word(b.images[d], x)
			}
		}
		if o.fits(&words, k+1) != nil {
			t.Fatalf("writer %d was answered %d operations: %v", i, k, o.fits(&words, k+1))
		}
	}
}
