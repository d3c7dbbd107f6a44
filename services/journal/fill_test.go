package journal

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// A point is written onto other disks, while replication goes on and the journal
// is restarted: they hold the point, and nothing where it holds nothing.
func TestAPointIsWrittenOntoOtherDisks(t *testing.T) {
	for _, mode := range []cdp.JournalMode{cdp.Rollback, cdp.RollForward} {
		t.Run(string(mode), func(t *testing.T) {
			s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
			s.start(mode)
			w := newTraffic(s, 12)
			w.mustSend(30)
			x := &filled{site: s, w: w, mode: mode, points: must[api.PointsReply](s, api.JournalPoints, api.PointsRequest{Group: "g"}).Points}
			p := x.points[len(x.points)/3]
			x.req = api.FillRequest{Group: "g", Run: "t1", Seq: p.Seq, Paths: []string{filepath.Join(s.dir, "a.vmdk"), filepath.Join(s.dir, "b.vmdk")}}
			x.keptWithoutDisks()
			x.makeDisks()
			x.begunAndInterrupted()
			x.pointIsKept()
			x.done()
			same(t, w.at(p.Seq), x.req.Paths)
			x.sparse()
			x.stopped()
			look := must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "look", Seq: s.head(), Purpose: "export"})
			s.checkExport(w.m, s.head(), look)
			s.shut()
			if len(s.alarms) > 0 {
				t.Errorf("alarms: %v", s.alarms)
			}
		})
	}
}

// filled is a site with a fill.
type filled struct {
	*site
	w      *traffic
	mode   cdp.JournalMode
	points []cdp.Point
	req    api.FillRequest
}

func (x *filled) with(change func(*api.FillRequest)) api.FillRequest {
	r := x.req
	change(&r)
	return r
}

// keptWithoutDisks begins a fill whose disks do not exist yet: its seq is kept,
// over a restart.
func (x *filled) keptWithoutDisks() {
	x.t.Helper()
	s := x.site
	refused[api.MoveReply](s, cdp.Invalid, api.JournalFill, x.with(func(r *api.FillRequest) { r.Paths = x.req.Paths[:1] }))
	refused[api.MoveReply](s, cdp.Invalid, api.JournalFill, x.with(func(r *api.FillRequest) { r.Paths = []string{x.req.Paths[0], s.images()[1]} }))
	refused[api.MoveReply](s, cdp.NotFound, api.JournalFill, x.with(func(r *api.FillRequest) { r.Seq = 1 << 40 }))
	must[api.MoveReply](s, api.JournalFill, x.with(func(r *api.FillRequest) { r.Paths = nil }))
	s.restart(x.mode)
	if must[api.MoveReply](s, api.JournalFill, x.with(func(r *api.FillRequest) { r.Paths = nil })).Done {
		x.t.Fatal("done without disks")
	}
	refused[api.MoveReply](s, cdp.Invalid, api.JournalFill, x.with(func(r *api.FillRequest) { r.Paths = s.images() }))
	refused[api.MoveReply](s, cdp.Transient, api.JournalFill, x.req) // they do not exist yet
}

func (x *filled) makeDisks() {
	x.t.Helper()
	for i, path := range x.req.Paths {
		f, err := os.Create(path)
		if err != nil {
			x.t.Fatal(err)
		}
		if err := f.Truncate(testDisks[i].Size + 4096); err != nil {
			x.t.Fatal(err)
		}
		f.Close()
	}
}

// begunAndInterrupted begins the copy and restarts the service in the middle.
func (x *filled) begunAndInterrupted() {
	x.t.Helper()
	s := x.site
	must[api.MoveReply](s, api.JournalFill, x.req)
	refused[api.MoveReply](s, cdp.Conflict, api.JournalFill, x.with(func(r *api.FillRequest) { r.Run = "t2" }))
	refused[api.MoveReply](s, cdp.Conflict, api.JournalFill, x.with(func(r *api.FillRequest) { r.Seq++ }))
	s.restart(x.mode)
}

// pointIsKept tries to move horizon past the point.
func (x *filled) pointIsKept() {
	x.t.Helper()
	v := x.svc.groups["g"].vault
	if err := v.Raise(x.t.Context(), v.Bounds().Head); err != nil {
		x.t.Fatal(err)
	}
	if err := v.Retain(x.t.Context(), x.points[len(x.points)-1].Seq); !cdp.Is(err, cdp.Conflict) {
		x.t.Fatal("the point may be lost while it is being written:", err)
	}
}

// done waits for the copy, while replication goes on.
func (x *filled) done() {
	x.t.Helper()
	must[api.MoveReply](x.site, api.JournalFill, x.req)
	x.w.mustSend(10)
	var last api.MoveReply
	x.until("the fill", func() bool {
		last = must[api.MoveReply](x.site, api.JournalFill, x.req)
		return last.Done
	})
	if last.Moved != last.Total || last.Total != testDisks[0].Size+testDisks[1].Size {
		x.t.Errorf("%+v", last)
	}
}

// sparse looks at how much of the disks is allocated.
func (x *filled) sparse() {
	x.t.Helper()
	for i, path := range x.req.Paths {
		st, err := os.Stat(path)
		if err != nil {
			x.t.Fatal(err)
		}
		if n := st.Sys().(*syscall.Stat_t).Blocks * 512; n > testDisks[i].Size/2 {
			x.t.Errorf("%s: %d of %d bytes are allocated", path, n, testDisks[i].Size)
		}
	}
}

// stopped ends the fill, which stays done over a restart, and another one in the
// middle.
func (x *filled) stopped() {
	x.t.Helper()
	s := x.site
	s.restart(x.mode)
	if !must[api.MoveReply](s, api.JournalFill, x.req).Done {
		x.t.Error("it is copied again after a restart")
	}
	if err := s.svc.groups["g"].vault.Retain(x.t.Context(), x.points[len(x.points)-2].Seq); err != nil {
		x.t.Error("a fill that is done keeps its point:", err)
	}
	must[api.Empty](s, api.JournalFillStop, api.RunRequest{Group: "g", Run: "other"})
	must[api.Empty](s, api.JournalFillStop, api.RunRequest{Group: "g", Run: "t1"})
	must[api.Empty](s, api.JournalFillStop, api.RunRequest{Group: "g", Run: "t1"})
	next := x.with(func(r *api.FillRequest) { r.Run, r.Seq = "t2", s.head() })
	must[api.MoveReply](s, api.JournalFill, next)
	must[api.Empty](s, api.JournalFillStop, api.RunRequest{Group: "g", Run: "t2"})
	x.w.mustSend(5)
}
