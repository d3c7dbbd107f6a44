package capture

import (
	"context"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/seedtest"
)

// comparedWorld is a group whose target holds an older copy of its disks: three regions
// of each differ, one of them a hole here. sent counts the bytes that frames bring.
func comparedWorld(t *testing.T) (w *world, sent func() int64) {
	w = newWorld(t, seedtest.Seed(t))
	w.job.Verify = true
	rng := rand.New(rand.NewPCG(w.seed, 11))
	var bytes int64
	w.bus.with(func() {
		w.bus.oracles = nil
		w.bus.watch = func(f frame.Frame) error {
			for i := range f.Records {
				bytes += int64(f.Record(i).Length)
			}
			return nil
		}
		for d, j := range w.job.Disks {
			image := w.bus.images[d]
			half := image[:len(image)/2/sumBlock*sumBlock]
			for i := range half {
				half[i] = byte(rng.Uint32())
			}
			if err := os.WriteFile(j.Path, half, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(j.Path, diskSize); err != nil {
				t.Fatal(err)
			}
			for _, off := range []int{0, len(half) - 1, len(image) - 1} {
				image[off] ^= 0xff
			}
		}
	})
	w.deps.Sums = func(_ context.Context, _ cdp.Site, _ cdp.GroupID, d cdp.DiskID, off, n int64, block int) (out [][32]byte, err error) {
		w.bus.mu.Lock()
		defer w.bus.mu.Unlock()
		if w.bus.linkDown || w.bus.down {
			return nil, transient
		}
		for at := off; at < off+n; at += int64(block) {
			p := w.bus.images[d][at:min(at+int64(block), off+n)]
			out = append(out, sumOf(p, int64(len(p))))
		}
		return out, nil
	}
	return w, func() (n int64) {
		w.bus.with(func() { n = bytes })
		return n
	}
}

// Of disks that the target holds a copy of already, only what differs is sent, also
// where nothing is allocated here.
func TestOnlyDifferencesAreSentToATargetWithACopy(t *testing.T) {
	w, sent := comparedWorld(t)
	w.up()
	w.settle()
	if n, most := sent(), int64(len(w.job.Disks)*3*sumBlock); n == 0 || n > most {
		t.Errorf("%d bytes were sent, and %d differ", n, most)
	}
	if st := w.g.Status(); st.Verified != st.TotalBytes-int64(len(w.job.Disks)*3*sumBlock) {
		t.Errorf("%d of %d bytes count as found at the target", st.Verified, st.TotalBytes)
	}
	w.end()
}

// Guests write while the disks are compared, capture is killed, and the link fails: the
// target becomes what the disks are.
func TestDisksAreComparedWhileGuestsWrite(t *testing.T) {
	w, _ := comparedWorld(t)
	w.up()
	w.write(20 * time.Microsecond)
	for range 3 {
		w.eventually("a part was compared", func() bool { return w.g.Status().Verified > 0 || !w.g.order.book.Seeding() })
		w.bus.with(func() { w.bus.linkDown, w.bus.lossy = true, 0.05 })
		w.still(func() {
			w.crash()
			w.up()
		})
		w.bus.heal()
	}
	w.settle()
	w.end()
}
