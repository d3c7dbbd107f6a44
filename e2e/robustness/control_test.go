package robustness

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"tidemark.dev/e2e/robustness/traffic"
)

// The control: a write that is lost is found, each time. The replica is altered
// behind the product's back, and then the record.
func TestLostWritesAreFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "rollback")
	w.guests.Start()
	w.protected()
	time.Sleep(2 * time.Second)
	w.settle()
	must := w.record.Now()
	w.eventually("the replica holds all", 20*time.Second, func() error {
		s, err := w.status()
		if err == nil && s.Bounds.Base != s.Bounds.Head {
			err = fmt.Errorf("%v", s.Bounds)
		}
		return err
	})
	writes := w.record.Writes()
	for i := range 8 {
		// A write that still shows, or a part of it, is undone.
		disk := w.rng.IntN(2)
		f, err := os.OpenFile(w.replica(disk), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		was := make([]byte, traffic.Sector)
		var off int64
		var n uint64
		for n <= 4 { // not the disk's first content
			off = w.rng.Int64N(w.disks[disk].Size/traffic.Sector) * traffic.Sector
			if _, err := f.ReadAt(was, off); err != nil {
				t.Fatal(err)
			}
			if n, err = traffic.Read(was, w.record.Run, disk, off); err != nil {
				t.Fatal(err)
			}
		}
		older := make([]byte, traffic.Sector)
		what := "zeros"
		if k := slices.IndexFunc(writes, func(x traffic.Write) bool {
			return x.N < n && x.Before(writes[n-1]) && !x.Zero && x.Disk == disk && x.Off <= off && off < x.Off+int64(x.Len)
		}); k >= 0 {
			traffic.Stamp(older, w.record.Run, writes[k].N, disk, off)
			what = writes[k].String()
		}
		if _, err := f.WriteAt(older, off); err != nil {
			t.Fatal(err)
		}
		_, bad := w.judge(writes, must)
		if len(bad) == 0 {
			t.Errorf("%d: %v was undone to %s in the replica, and nothing was found", i, writes[n-1], what)
		} else {
			t.Logf("%d: found: %s", i, bad[0])
		}
		if _, err := f.WriteAt(was, off); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if _, bad := w.judge(writes, must); bad != nil {
		t.Fatalf("all is as it was, and it is found: %q", bad)
	}
	// A write that the record has, and the disks never had.
	for i := range 4 {
		x := writes[w.rng.IntN(len(writes))]
		x.N, x.Zero, x.Issued, x.Acked = uint64(len(writes)+1), false, must-2, must-1
		if _, bad := w.judge(append(slices.Clone(writes), x), must); len(bad) == 0 {
			t.Errorf("%d: %v was never sent, and nothing was found", i, x)
		}
	}
}
