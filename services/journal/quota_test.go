package journal

import (
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool/spooltest"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
	"tidemark.dev/pkg/seedtest"
)

// A journal never stands still with history to give up: whenever a batch does not fit,
// the policy drops points, pinned ones too if there are no others.
func TestWhatRefusesFramesAlsoGivesUpHistory(t *testing.T) {
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 1))
	refused := 0
	for range 10_000 {
		limit := 64<<20 + rng.Int64N(1<<30)
		part := func() int64 { return rng.Int64N(1 + limit>>rng.IntN(6)) }
		c := claim{limit, vault.Usage{Kept: part(), Behind: part(), OnDisk: part(), Work: part()}, part()}
		if c.fits(limit / batches) {
			continue
		}
		refused++
		o := outlook{Known: true, Bounds: cdp.Bounds{Horizon: 1, Base: 10, Head: 40}, Bytes: c.bytes(), Limit: c.limit, History: time.Hour}
		for seq := cdp.Seq(1); seq <= 40; seq += 1 + cdp.Seq(rng.IntN(15)) {
			o.Points = append(o.Points, cdp.Point{Seq: seq, Pinned: rng.IntN(3) == 0})
		}
		if len(o.Points) < 2 {
			continue
		}
		if in := decide(o); !in.Cut {
			t.Fatalf("%+v takes %d and refuses a batch, and no point is dropped of %+v: %+v", c, c.bytes(), o.Points, in)
		}
	}
	if refused == 0 {
		t.Fatal("nothing was ever refused")
	}
}

// onDisk is what the files below a directory take.
func onDisk(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil { // it is gone by now
			return nil
		}
		if st, err := e.Info(); err == nil && !e.IsDir() {
			n += st.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	return n
}

// watch measures a directory until the test ends, and remembers the most.
func watch(t *testing.T, dir string) *atomic.Int64 {
	var most atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			most.Store(max(most.Load(), onDisk(dir)))
		}
	})
	t.Cleanup(func() { close(stop); wg.Wait() })
	return &most
}

const sizeLimit = 12 << 20

// sendLarge sends n points of 128 KiB each.
func (w *traffic) sendLarge(n int) {
	w.s.t.Helper()
	for range n {
		var ws []vaulttest.ModelWrite
		for range 4 {
			at := w.rng.Int64N(testDisks[0].Size/cdp.RegionSize) * cdp.RegionSize
			ws = append(ws, vaulttest.ModelWrite{Disk: 0, Off: at + w.rng.Int64N(200)*cdp.BlockSize, Len: 32 << 10})
		}
		if err := w.publish(frame.Consistent|frame.Marker, ws...); err != nil {
			w.s.t.Fatal(err)
		}
	}
}

func (s *site) group() api.GroupStatus {
	s.t.Helper()
	return must[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"}).Groups[0]
}

// More is written to a journal than its size limit lets it keep. While an export keeps
// all history, it takes in nothing that would pass the limit, and says so. Once the
// export is closed, old points go, and every write is stored. Whatever happens, its files
// take no more than the limit and a twentieth.
func TestAJournalStaysWithinItsSizeLimitOnDisk(t *testing.T) {
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30), memTable: 128 << 10, limit: sizeLimit}
	s.start(cdp.Rollback)
	t.Cleanup(s.shut)
	w := newTraffic(s, 17)
	w.mustSend(1)
	most := watch(t, filepath.Join(s.dir, "db", "g"))
	within := func() {
		t.Helper()
		if n := most.Load(); n > sizeLimit/20*21 {
			t.Errorf("the journal took %d KiB, its limit is %d KiB", n>>10, sizeLimit>>10)
		}
	}
	first := s.group().Oldest
	must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "keep", Seq: first.Seq, Purpose: api.ForExport})
	w.sendLarge(48)
	s.until("the journal to be full", func() bool { return s.group().State == event.JournalFull })
	if st := s.group(); !strings.Contains(st.Reason, "limit of 12 MiB") || st.Bounds.Head == cdp.Seq(len(w.m.Writes)) || st.Oldest.Seq != first.Seq {
		t.Errorf("status says %s: %s; %+v", st.State, st.Reason, st)
	}
	s.until("an alarm", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(strings.Join(s.alarms, "\n"), AlarmFull+": ")
	})
	within()
	must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "keep"})
	for head := cdp.Seq(0); head < cdp.Seq(len(w.m.Writes)); head = s.head() {
		s.until("more writes", func() bool { return s.head() > head })
	}
	s.until("the state to be right again", func() bool {
		st := s.group()
		return st.State == event.JournalReceiving && st.Bounds.Base == st.Bounds.Head && st.Oldest.Seq > first.Seq && st.Points > 1
	})
	within()
	var e api.Export
	var seq cdp.Seq
	s.until("the oldest point", func() bool { // it may go meanwhile
		var err error
		seq = s.group().Oldest.Seq
		e, err = call[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "x", Seq: seq, Purpose: api.ForExport})
		return err == nil
	})
	s.checkExport(w.m, seq, e)
}
