package journal

import (
	"path/filepath"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// Two source sites share the target: each group gets its own source's frames, and
// its points are corrected by that source's clock.
func TestSourcesShareATarget(t *testing.T) {
	branch := spooltest.NewMem(1 << 30)
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30), others: map[cdp.Site]*spooltest.Mem{"branch": branch}}
	s.start(cdp.Rollback)
	defer s.shut()
	s.svc.Apply(GroupSpec{Group: "h", Source: "branch", Mode: cdp.RollForward, History: time.Hour,
		Names: []string{"root", "data"}, Paths: []string{filepath.Join(s.dir, "h-root.img"), filepath.Join(s.dir, "h-data.img")}})
	status := func(g cdp.GroupID) api.GroupStatus {
		r, err := call[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: g})
		if err != nil {
			return api.GroupStatus{}
		}
		return r.Groups[0]
	}
	for g, writes := range map[cdp.GroupID]int{"g": 3, "h": 5} {
		late, mem := time.Hour, s.mem
		if g == "h" {
			late, mem = 2*time.Hour, branch
		}
		s.until("a measured clock", func() bool { return status(g).ClockBound > 0 })
		b := frame.NewBuilder(make([]byte, frame.SlotSize))
		for range writes {
			b.Append(frame.Record{Length: 512, Kind: frame.Zero}, nil)
		}
		now := time.Now()
		sink := mem.Sink(t)
		if err := sink.Publish(b.Seal(frame.Header{Epoch: 1, No: 1, First: 1, Flags: frame.Consistent | frame.Marker | frame.ExtentStart,
			Sealed: now.Add(-late).UnixNano()})); err != nil {
			t.Fatal(err)
		}
		if r := <-sink.Results(); r.Err != nil {
			t.Fatal(r.Err)
		}
		s.until("a point", func() bool { return status(g).Points == 1 })
		st := status(g)
		if off := st.Newest.Time.Sub(now).Abs(); off > time.Minute || st.Bounds.Head != cdp.Seq(writes) {
			t.Errorf("%s: head %d after %d writes, the point's time is off by %v", g, st.Bounds.Head, writes, off)
		}
	}
}
