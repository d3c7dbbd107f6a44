package journal

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// History is given up for what the journals take themselves, and only when the disk
// gets tight.
func TestWhatJournalsOweOfATightDisk(t *testing.T) {
	const reserve = 100
	for _, c := range []struct {
		about  string
		use    diskUse
		others int64 // while the disk was roomy
		want   int64
	}{
		{"there is room", diskUse{Free: 200, Own: 700, Others: 100}, 100, 0},
		{"the journals filled it", diskUse{Free: 199, Own: 701, Others: 100}, 100, 101},
		{"somebody else filled it", diskUse{Free: 150, Own: 300, Others: 550}, 100, 0},
		{"both did", diskUse{Free: 110, Own: 710, Others: 180}, 100, 110},
		{"others took what was nearly tight", diskUse{Free: 0, Own: 690, Others: 310}, 100, 0},
		{"others take less than before", diskUse{Free: 150, Own: 800, Others: 50}, 100, 150},
	} {
		if got := c.use.owed(reserve, c.others); got != c.want {
			t.Errorf("%s: %d is owed, want %d", c.about, got, c.want)
		}
	}
	for _, c := range []struct {
		debt
		want float64
	}{{debt{bytes: 100, own: 1000}, 0.1}, {debt{bytes: 100, own: 50}, 1}, {debt{}, 0}} {
		if got := c.part(); got != c.want {
			t.Errorf("each journal owes %v of its history for %+v, want %v", got, c.debt, c.want)
		}
	}
}

// usedSpace is a disk that is used as the test says.
type usedSpace struct {
	mu sync.Mutex
	diskUse
}

func (s *usedSpace) set(u diskUse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.diskUse = u
}

func (s *usedSpace) now() diskUse {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.diskUse
}

func (s *usedSpace) Free() (int64, error)         { return s.now().Free, nil }
func (s *usedSpace) Taken() (int64, int64, error) { u := s.now(); return u.Own, u.Others, nil }
func (s *usedSpace) Use()                         {}
func (s *usedSpace) Restore(int64)                {}

// What others store on the disk is known over a restart; and a disk that was tight
// from the first moment on costs no history.
func TestOthersAreToldFromJournalsOverARestart(t *testing.T) {
	disk := &usedSpace{diskUse: diskUse{Free: 900, Others: 100}}
	start := func(dir string) func(diskUse) int64 {
		d := newDiskRoom(Config{Dir: filepath.Join(dir, "x"), Reserve: 100, Beat: time.Nanosecond}, Deps{Space: disk, Clock: clock.System})
		return func(u diskUse) int64 {
			disk.diskUse, d.looked = u, 0
			return d.owes().bytes
		}
	}
	dir := t.TempDir()
	owes := start(dir)
	owes(diskUse{Free: 900, Own: 0, Others: 100})
	owes = start(dir)
	if got := owes(diskUse{Free: 150, Own: 300, Others: 550}); got != 0 {
		t.Errorf("%d is owed for what others stored before the restart", got)
	}
	if got := owes(diskUse{Free: 150, Own: 750, Others: 100}); got != 150 {
		t.Errorf("%d is owed, want 150", got)
	}
	if got := start(t.TempDir())(diskUse{Free: 150, Own: 750, Others: 100}); got != 0 {
		t.Errorf("%d is owed on a disk that is not known", got)
	}
}

// A job without a size limit has nearly filled its disk. Old points go before the disk
// is full, and every write is stored. What somebody else puts on the disk then stops the
// journal, and costs no point.
func TestAJournalGivesUpHistoryBeforeItsDiskIsFull(t *testing.T) {
	disk := &usedSpace{diskUse: diskUse{Free: 1 << 30}}
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30), disk: disk}
	s.start(cdp.Rollback)
	defer s.shut()
	w := newTraffic(s, 23)
	w.mustSend(40)
	s.until("a look at the disk", func() bool { _, err := os.Stat(filepath.Join(s.dir, "disk.json")); return err == nil })
	before := s.group()
	disk.set(diskUse{Free: 3 << 19, Own: 15 << 20})
	s.until("history to be given up", func() bool { return s.group().Oldest.Frame > before.Oldest.Frame })
	disk.set(diskUse{Free: 1 << 30, Own: 15 << 20})
	s.until("an alarm", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(strings.Join(s.alarms, "\n"), "nearly filled their disk")
	})
	s.until("room", func() bool { return s.svc.room.owes().bytes == 0 })
	s.moreLooks()
	w.mustSend(5)
	st := s.group()
	if st.Points < 2 {
		t.Errorf("a tenth of the history was owed: %+v", st)
	}
	e := must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "x", Seq: st.Oldest.Seq, Purpose: api.ForExport})
	s.checkExport(w.m, st.Oldest.Seq, e)
	must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "x"})

	disk.set(diskUse{Own: 15 << 20, Others: 1 << 30})
	if err := w.send(5); err != nil {
		t.Fatal(err)
	}
	s.until("the journal to be full", func() bool { return s.group().State == event.JournalFull })
	s.moreLooks()
	if now := s.group(); now.Oldest.Frame != st.Oldest.Frame {
		t.Errorf("the oldest point was %v and is %v: what others stored cost history", st.Oldest, now.Oldest)
	}
	disk.set(diskUse{Free: 1 << 30, Own: 15 << 20})
	s.until("every write", func() bool { return s.head() == cdp.Seq(len(w.m.Writes)) })
}

// moreLooks waits until housekeeping has looked a few times.
func (s *site) moreLooks() {
	s.t.Helper()
	n := s.looks.Load()
	s.until("more looks", func() bool { return s.looks.Load() > n+3 })
}
