package pebblestore

import (
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// backlog is a database with compactions that wait.
type backlog struct{ waiting, running int }

func (b *backlog) GetAllowedWithoutPermission() int { return 1 }
func (b *backlog) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	return b.waiting > 0, pebble.WaitingCompaction{}
}
func (b *backlog) Schedule(pebble.CompactionGrantHandle) bool {
	b.waiting--
	b.running++
	return true
}

// One compaction runs at a time, and the end of each begins the next: no clock does.
func TestTheEndOfACompactionBeginsTheNext(t *testing.T) {
	b, c := &backlog{}, &compactions{}
	c.Register(2, b)
	ok, grant := c.TrySchedule()
	if !ok {
		t.Fatal("the first was refused")
	}
	if again, _ := c.TrySchedule(); again {
		t.Fatal("two run at once")
	}
	b.waiting = 2
	for n := 1; n <= 2; n++ {
		grant.Done()
		if b.running != n {
			t.Fatalf("%d of the waiting ones ran after %d had ended", b.running, n)
		}
	}
	grant.Done()
	if ok, _ := c.TrySchedule(); !ok {
		t.Fatal("nothing runs, and one was refused")
	}
	b.waiting = 1
	c.Unregister()
	grant.Done()
	if ok, _ := c.TrySchedule(); ok || b.waiting == 0 {
		t.Fatal("one began after the database was closed")
	}
}
