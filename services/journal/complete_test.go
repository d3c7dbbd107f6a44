package journal

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool/spooltest"
	"tidemark.dev/pkg/engine/vault/vaulttest"
	"tidemark.dev/pkg/seedtest"
)

// A write is requested by its number. In the middle of a cycle or a resync the
// disks are a mix of two moments: such a write is refused.
func TestAWriteInTheMiddleOfACopyIsNoPoint(t *testing.T) {
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 10))
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.Rollback)
	defer s.shut()
	sink := s.mem.Sink(t)
	m := vaulttest.NewModel(testDisks)
	send := func(flags frame.Flags, writes int) {
		t.Helper()
		var ws []vaulttest.ModelWrite
		for range writes {
			ws = append(ws, m.RandomWrite(rng))
		}
		f, err := frame.Parse(m.Frame(flags, 1, time.Now().UnixNano(), ws...))
		if err != nil {
			t.Fatal(err)
		}
		if err := sink.Publish(f); err != nil {
			t.Fatal(err)
		}
		if r := <-sink.Results(); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	s.until("the journal", func() bool { _, err := s.svc.group("g"); return err == nil })
	g, err := s.svc.group("g")
	if err != nil {
		t.Fatal(err)
	}
	defer g.keeper.hold()()                     // or horizon moves to the point
	send(frame.Consistent|frame.ExtentStart, 2) // 1, 2: after nothing known
	send(frame.Consistent, 2)                   // 3, 4
	send(0, 2)                                  // 5, 6: a copy
	send(0, 2)                                  // 7, 8: its rest
	send(frame.Consistent|frame.Marker, 0)      // which is complete
	send(frame.Consistent, 2)                   // 9, 10
	s.until("all writes", func() bool { return s.head() == 10 })
	for seq, ok := range map[int]bool{1: false, 2: true, 3: true, 4: true, 5: false, 6: false, 7: false, 8: true, 9: true, 10: true, 11: false} {
		r, err := call[api.Resolved](s, api.JournalResolve, api.ResolveRequest{Group: "g", Point: fmt.Sprint("seq:", seq)})
		if ok != (err == nil) || err != nil && !cdp.Is(err, cdp.NotFound) || ok && r.Seq != cdp.Seq(seq) {
			t.Errorf("write %d: %v %v", seq, r, err)
		}
	}
	// The last write is past the newest point, but not in the middle of a copy.
	last := func() api.Resolved {
		return must[api.Resolved](s, api.JournalResolve, api.ResolveRequest{Group: "g", Point: cdp.LastWrite})
	}
	if r := last(); r.Seq != 10 || r.Point != nil || r.Time.IsZero() {
		t.Errorf("the last write is %+v", r)
	}
	send(0, 2) // 11, 12: a copy
	s.until("the copy", func() bool { return s.head() == 12 })
	if r := last(); r.Seq != 10 {
		t.Errorf("the last write is %+v while a copy runs", r)
	}
	send(frame.Consistent|frame.Marker, 0)
	s.until("its point", func() bool { return last().Point != nil })
	if r := last(); r.Seq != 12 || r.Point.Seq != 12 {
		t.Errorf("the last write is %+v after the copy", r)
	}
}
