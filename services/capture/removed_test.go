package capture

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// A disk is removed from a machine, also in the middle of what was owed of it: its
// snapshots are made without it, nothing of it is read, and the other disks get points.
func TestARemovedDiskDoesNotStopTheOthers(t *testing.T) {
	f, a := cycleWorld(t)
	f.put(0, 0, 4096)
	f.put(1, 0, 4096)
	f.up()
	f.cycle()
	f.close(time.Second)
	f.remove(1)
	f.up()
	f.g.order.mu.Lock()
	f.g.order.book.Set(1, 0, 128<<10)
	f.g.order.mu.Unlock()
	f.put(0, 64<<10, 4096)
	if n := f.cycle(); n != 4096 {
		t.Errorf("%d bytes were sent for one block", n)
	}
	f.crash()
	f.put(0, 128<<10, 4096)
	f.up()
	f.cycle()
	if len(a.all()) > 0 {
		t.Errorf("alarms %v", a.all())
	}
	if keys := f.job.machine().Keys; keys[0] == 0 || keys[1] != 0 {
		t.Errorf("the keys of the disks to freeze are %v", keys)
	}
	f.end()
}

// A tap whose disk was removed makes points once the filters of the others are live.
func TestARemovedDiskNeedsNoFilter(t *testing.T) {
	f := tapWorld(t)
	f.close(time.Second)
	f.remove(1)
	f.up()
	f.still(func() { f.reports, f.mute = true, map[cdp.DiskID]bool{1: true} })
	f.eventually("its filter is asked for", f.state(event.NeedsResync))
	f.g.order.mu.Lock()
	why := f.g.order.taps.absent()
	f.g.order.taps.of[0].clients = 1
	f.g.order.mu.Unlock()
	if why == nil || strings.Contains(why.Error(), "disk1") {
		t.Errorf("what is missing: %v", why)
	}
	f.put(0, 0, 4096) // nobody reported it
	if err := f.g.Live(0); err != nil {
		t.Fatal(err)
	}
	f.eventually("the other disk is captured", f.state(event.Replicating))
	f.point()
	f.end()
}

// remove takes a disk from the machine: no snapshot has it any more.
func (f *frozenWorld) remove(d cdp.DiskID) {
	for i := range f.job.Disks {
		f.job.Disks[i].Key = int32(2000 + i)
	}
	f.job.Disks[d].Removed = true
}
