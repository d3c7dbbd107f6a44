package capture

import (
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/seedtest"
)

// The stream stops in the middle of a tap's copy: the copy waits for it, misses
// nothing, and is complete. A tap that replicates does not wait: see
// TestATapIsConsistentWhenItsClientSaysSo.
func TestATapsCopyWaitsForTheStream(t *testing.T) {
	w := newWorld(t, seedtest.Seed(t))
	w.bus.with(func() { w.bus.oracles = nil })
	w.job.Mode = cdp.Tap
	for i := range w.job.Disks {
		w.job.Disks[i].Path = ""
	}
	w.up()
	w.eventually("seeding", w.state(event.Seeding))
	w.bus.with(func() { w.bus.down = true })
	began := time.Now()
	back := time.AfterFunc(300*time.Millisecond, func() { w.bus.with(func() { w.bus.down = false }) })
	defer back.Stop()
	buf := make([]byte, 512<<10)
	fill(buf, stamp(0, 1))
	for i := range int64(100) { // many times the window
		if err := w.g.guests.write(cdp.DiskID(i%disks), buf, i%8*int64(len(buf))); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(began); d < 300*time.Millisecond {
		t.Fatalf("the copy did not fill the window: it took %s", d)
	}
	for d := range cdp.DiskID(disks) {
		if err := w.g.Synced(d); err != nil {
			t.Fatal(err)
		}
	}
	w.eventually("replicating", w.state(event.Replicating))
	w.point()
	w.end()
}
