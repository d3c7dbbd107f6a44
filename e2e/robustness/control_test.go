package robustness

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"tidemark.dev/e2e/robustness/traffic"
)

// The control: a write that is lost is found, each time. What is read of the
// points is altered, and then the record. The replica is left alone: the journal
// finds what others change there.
func TestLostWritesAreFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "rollback")
	w.guests.Start()
	w.protected()
	time.Sleep(2 * time.Second)
	w.settle()
	must := w.record.Now()
	writes := w.record.Writes()
	newest, _ := w.judge(writes, must)
	for i := range 8 {
		// A write that still shows, or a part of it, is undone.
		disk := w.rng.IntN(2)
		var was []byte
		var off int64
		var n uint64
		for n <= 4 { // not the disk's first content
			off = w.rng.Int64N(w.disks[disk].Size/traffic.Sector) * traffic.Sector
			was = newest[disk][off:][:traffic.Sector]
			var err error
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
		w.alter = func(disks [][]byte) {
			if at := disks[disk][off:][:traffic.Sector]; bytes.Equal(at, was) {
				copy(at, older)
			}
		}
		_, bad := w.judge(writes, must)
		if len(bad) == 0 {
			t.Errorf("%d: %v was undone to %s, and nothing was found", i, writes[n-1], what)
		} else {
			t.Logf("%d: found: %s", i, bad[0])
		}
	}
	w.alter = nil
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
