package journal

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/vault/vaulttest"
	"tidemark.dev/pkg/seedtest"
)

// traffic is a source that writes at random, and remembers what the disks hold.
type traffic struct {
	s    *site
	sink spool.Sink
	rng  *rand.Rand
	m    *vaulttest.Model
	base [][]byte // what the disks held before the first write; nil for zeros
	// seeding: no recovery point is made.
	seeding bool
	epoch   cdp.Epoch // 0: 1
	extent  bool      // the next frame begins an extent
	// ahead is how much later than by the source's clock its frames say that they are.
	ahead time.Duration

	mu     sync.Mutex
	frames [][]byte // those that were sent
}

func newTraffic(s *site, stream uint64) *traffic {
	return &traffic{s: s, sink: s.mem.Sink(s.t), rng: rand.New(rand.NewPCG(seedtest.Seed(s.t), stream)), m: vaulttest.NewModel(testDisks)}
}

// send sends n frames, each a point unless it is seeding.
func (w *traffic) send(n int) error {
	for range n {
		flags := frame.Consistent | frame.Marker
		if w.seeding {
			flags = 0
		}
		if len(w.m.Frames) == 0 || w.extent {
			flags |= frame.ExtentStart
			w.extent = false
		}
		if err := w.publish(flags, w.m.RandomWrite(w.rng), w.m.RandomWrite(w.rng), w.m.RandomWrite(w.rng)); err != nil {
			return err
		}
	}
	return nil
}

// publish sends one frame.
func (w *traffic) publish(flags frame.Flags, ws ...vaulttest.ModelWrite) error {
	raw := w.m.Frame(flags, max(1, w.epoch), time.Now().Add(w.ahead-time.Duration(w.s.late.Load())).UnixNano(), ws...)
	w.mu.Lock()
	w.frames = append(w.frames, raw)
	w.mu.Unlock()
	f, err := frame.Parse(raw)
	if err == nil {
		err = w.sink.Publish(f)
	}
	if err == nil {
		err = (<-w.sink.Results()).Err
	}
	return err
}

func (w *traffic) mustSend(n int) {
	w.s.t.Helper()
	if err := w.send(n); err != nil {
		w.s.t.Fatal(err)
	}
	w.s.until("all writes", func() bool { return w.s.head() == cdp.Seq(len(w.m.Writes)) })
}

// at is what the disks hold at a seq.
func (w *traffic) at(seq cdp.Seq) [][]byte {
	w.mu.Lock()
	frames := w.frames
	w.mu.Unlock()
	disks := make([][]byte, len(testDisks))
	for i, d := range testDisks {
		disks[i] = make([]byte, d.Size)
		if w.base != nil {
			copy(disks[i], w.base[i])
		}
	}
	for _, raw := range frames {
		f, err := frame.Parse(raw)
		if err != nil {
			w.s.t.Fatal(err)
		}
		for i := range f.Records {
			if f.First+cdp.Seq(i) > seq {
				return disks
			}
			r := f.Record(i)
			p := disks[r.Disk][r.Offset:r.End()]
			if clear(p); r.Kind == frame.Write {
				copy(p, f.Payload()[r.PayloadOff:])
			}
		}
	}
	return disks
}

// same compares files with what disks hold.
func same(t *testing.T, want [][]byte, paths []string) {
	t.Helper()
	for i, path := range paths {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(want[i]); len(got) < n || !bytes.Equal(got[:n], want[i]) {
			t.Fatalf("%s is not what it should be: %s", path, differs(got, want[i]))
		}
	}
}

func differs(got, want []byte) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("from byte %d on", i)
		}
	}
	return fmt.Sprintf("%d bytes, not %d", len(got), len(want))
}
