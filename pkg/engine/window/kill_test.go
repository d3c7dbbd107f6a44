package window

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/seedtest"
)

const killSlots = 6

func TestMain(m *testing.M) {
	if dir := os.Getenv("TIDEMARK_WINDOW_CHILD"); dir != "" {
		writeForever(dir)
	}
	os.Exit(m.Run())
}

// progress is what the child acknowledged and gave back, in memory both map.
type progress struct {
	acked    atomic.Uint64 // writes appended
	released atomic.Uint64 // writes that may be gone
}

func mapProgress(dir string) *progress {
	f, err := os.OpenFile(filepath.Join(dir, "progress"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	f.Truncate(page)
	mem, err := unix.Mmap(int(f.Fd()), 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return (*progress)(unsafe.Pointer(&mem[0]))
}

// write number k, the same in both processes.
func write(k uint64, buf []byte) (frame.Record, []byte) {
	r := frame.Record{Offset: int64(k) * 512, Length: uint32(512 * (1 + k*7919%64)), Disk: cdp.DiskID(k % 3), Kind: frame.Write}
	if k%17 == 0 {
		r.Kind = frame.Zero
		return r, nil
	}
	data := buf[:r.Length]
	for i := 0; i < len(data); i += 8 {
		binary.LittleEndian.PutUint64(data[i:], k*0x9e3779b97f4a7c15+uint64(i))
	}
	return r, data
}

func writeForever(dir string) {
	w, _, err := Open(filepath.Join(dir, "w"), id, killSlots, nil)
	if err != nil {
		panic(err)
	}
	p := mapProgress(dir)
	k, buf := p.acked.Load(), make([]byte, 64<<10)
	if _, kept := count(w, p.released.Load()); kept > k {
		k = kept // it was appended, and the kill came before its acknowledgement
	}
	for {
		open, n, full := w.OpenFrame()
		if full || n > 0 && k%41 == 0 {
			w.End(frame.Consistent, 1)
			w.Seal(w.Last(), frame.Header{Epoch: 1, No: cdp.FrameNo(w.Last()), First: 1}, nil)
			w.Seal(w.Last(), frame.Header{Epoch: 2, No: cdp.FrameNo(w.Last()), First: 1}, nil)
			open = false
		}
		if !open {
			if w.Free() == 0 {
				p.released.Add(uint64(w.Records(w.First())))
				w.Release(w.First())
			}
			w.Begin(1)
		}
		r, data := write(k+1, buf)
		if !w.Room(len(data)) {
			panic("no memory for a write")
		}
		w.Append(r, data, 2)
		if k%1000 == 0 {
			w.Trim()
		}
		k++
		p.acked.Store(k)
	}
}

// count is the number of the first and the last write held. A release that was
// announced and not done leaves one frame more.
func count(w *Window, released uint64) (first, last uint64) {
	n := uint64(0)
	for ord := w.First(); ord <= w.Last(); ord++ {
		n += uint64(w.Records(ord))
	}
	return released + 1, released + n
}

// A process that is killed at any instruction leaves every write it had
// appended in the window, whole, once and in order.
func TestKillLeavesEveryAppendedWrite(t *testing.T) {
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 2))
	dir := filepath.Join("/dev/shm", fmt.Sprintf("tidemark-window-test-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	p := mapProgress(dir)
	kills, total := 40, uint64(0)
	for round := range kills {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "TIDEMARK_WINDOW_CHILD="+dir)
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		before := p.acked.Load()
		for end := time.Now().Add(time.Minute); p.acked.Load() == before && time.Now().Before(end); {
			time.Sleep(100 * time.Microsecond)
		}
		time.Sleep(time.Duration(rng.IntN(15_000)) * time.Microsecond)
		child.Process.Signal(unix.SIGKILL)
		child.Wait()

		w, restored, err := Open(filepath.Join(dir, "w"), id, killSlots, nil)
		if err != nil || !restored {
			t.Fatalf("round %d: restored %v, %v", round, restored, err)
		}
		check(t, round, w, p)
		w.Close()
		total = p.acked.Load()
	}
	t.Logf("%d kills over %s writes", kills, strconv.FormatUint(total, 10))
}

func check(t *testing.T, round int, w *Window, p *progress) {
	t.Helper()
	acked := p.acked.Load()
	if w.opened {
		w.End(0, 1)
	}
	// Which write comes first follows from its offset.
	k, buf := uint64(0), make([]byte, 64<<10)
	for ord := w.First(); ord <= w.Last(); ord++ {
		f := w.Seal(ord, frame.Header{Epoch: 3, No: cdp.FrameNo(ord), First: 1}, nil)
		f, err := frame.Parse(f.Bytes())
		if err == nil {
			err = f.Verify()
		}
		if err != nil {
			t.Fatalf("round %d: frame %d: %v", round, ord, err)
		}
		for i := range f.Records {
			r := f.Record(i)
			if k == 0 {
				k = uint64(r.Offset)/512 - 1
				if k > p.released.Load() {
					t.Fatalf("round %d: writes %d..%d are missing", round, p.released.Load()+1, k)
				}
				p.released.Store(k) // the announced release that was not done
			}
			k++
			want, data := write(k, buf)
			if r.Offset != want.Offset || r.Length != want.Length || r.Disk != want.Disk || r.Kind != want.Kind || !bytes.Equal(f.Data(r), data) {
				t.Fatalf("round %d: frame %d holds something else as write %d", round, ord, k)
			}
		}
	}
	if k < acked || k > acked+1 {
		t.Fatalf("round %d: %d writes held, %d acknowledged", round, k, acked)
	}
}
