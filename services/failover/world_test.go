package failover_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/approval"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/engine/wake"
	"tidemark.dev/services/failover"
)

// world is everything around the service, in memory: all its ports. The journal
// is idempotent, and counts what really changed.
type world struct {
	mu       sync.Mutex
	jobs     map[string]spec.ReplicationJob
	specRev  uint64
	rec      *failoverrun.Run
	rev      uint64
	bells    []wake.Bell // of those who watch the record
	lease    failover.Lease
	lose     bool // the answer to the next write of the record is lost
	dead     bool // the source
	old      oldVM
	silent   bool // the journal
	lock     *api.RetentionLock
	halted   bool
	sealed   bool
	released bool
	open     map[string]bool
	clients  []string // of every open export
	grace    time.Duration
	leaves   int          // after so many more questions they are gone; 0: they stay
	exports  []api.Export // of points
	guests   []string     // at the source
	base     cdp.Seq
	absorbed bool
	moves    int
	stuck    bool // moves do not end
	newest   cdp.Seq
	vm       vcenter
	effects  map[string]int
	finished map[recovery.Phase]int
	// disagreed is the error of approvals; nil: two persons agreed to everything.
	disagreed error
	clock     clock.Clock
	warnings  []event.FailoverWindowEnding
	point     *cdp.Point     // that is resolved; nil: a write
	tested    *cdp.PointTest // of the point p9
}

func newWorld() *world {
	w := &world{clock: clock.System, newest: 50, grace: 20 * time.Millisecond, open: map[string]bool{}, effects: map[string]int{}, finished: map[recovery.Phase]int{}, jobs: map[string]spec.ReplicationJob{}}
	w.change("plain", &spec.ReplicationJob{Name: "plain"})
	w.change("web", &spec.ReplicationJob{Name: "web", Source: spec.Source{Site: "prod"},
		Target: spec.Target{Site: "dr", VM: "web-replica", Disks: []spec.TargetDisk{{Name: "d", Path: "/r"}}}})
	return w
}

func (w *world) service() *failover.Service {
	cfg := failover.Config{PollEvery: time.Millisecond, RetryMin: time.Millisecond, OwedMax: 5 * time.Millisecond, SourceTimeout: 20 * time.Millisecond, Grace: w.grace}
	return failover.New(cfg, failover.Deps{Jobs: specs{w}, Records: w, Lease: w.lease, Journal: w, Exports: w, Replica: w, VMs: w, Source: source{w}, Events: w, Approvals: w, Clock: w.clock})
}

// Agreed is failover.Approvals.
func (w *world) Agreed(_ context.Context, a approval.Act) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.disagreed != nil && (a.What != approval.Commit || a.Job != "web" || a.Of != "run r") {
		return cdp.Errorf(cdp.Internal, "approve", a.Job, "asked about %v", a)
	}
	return w.disagreed
}

func (w *world) state() failoverrun.Run {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rec == nil {
		return failoverrun.Run{}
	}
	return *w.rec
}

func (w *world) finishes(phase recovery.Phase) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.finished[phase]
}

// effectsOnce is how many effects there were; each must have been one.
func (w *world) effectsOnce(t *testing.T) int {
	for name, n := range w.effects {
		if n != 1 {
			t.Fatalf("%s took effect %d times", name, n)
		}
	}
	return len(w.effects)
}

// did makes a change that is not made yet, and counts it.
func (w *world) did(ctx context.Context, name string, so bool, change func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !so {
		w.effects[name]++
		change()
	}
	if ctx.Err() != nil { // the change is made, but the answer is lost
		return cdp.Errorf(cdp.Transient, name, "", "no answer")
	}
	return nil
}

// specs are the jobs' specs.
type specs struct{ w *world }

func (s specs) Get(_ context.Context, name string) (failoverrun.Pinned, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	job, ok := s.w.jobs[name]
	if !ok {
		return failoverrun.Pinned{}, cdp.Errorf(cdp.NotFound, "get", name, "no")
	}
	return failoverrun.Pinned{Revision: s.w.specRev, Spec: job}, nil
}

// change replaces a job's spec; nil deletes it.
func (w *world) change(name string, job *spec.ReplicationJob) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.specRev++
	if delete(w.jobs, name); job != nil {
		w.jobs[name] = *job
	}
}

func (w *world) Get(_ context.Context, job string) (failoverrun.Run, uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rec == nil || job != "web" {
		return failoverrun.Run{}, 0, cdp.Errorf(cdp.NotFound, "get", job, "no")
	}
	return *w.rec, w.rev, nil
}

func (w *world) Put(_ context.Context, _ string, s failoverrun.Run, rev uint64) (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if rev != w.rev {
		return 0, cdp.Errorf(cdp.Conflict, "put", "", "revision")
	}
	w.rec, w.rev = &s, rev+1
	for _, bell := range w.bells {
		bell.Ring()
	}
	if w.lose { // the write is made, but the answer is lost
		w.lose = false
		return 0, cdp.Errorf(cdp.Transient, "put", "", "no answer")
	}
	return w.rev, nil
}

func (w *world) Watch(ctx context.Context, fn func(string)) error {
	bell := wake.New()
	w.mu.Lock()
	w.bells = append(w.bells, bell)
	is := w.rec != nil
	w.mu.Unlock()
	if is {
		fn("web")
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-bell:
			fn("web")
		}
	}
}

func (w *world) Status(_ context.Context, g cdp.GroupID) (api.GroupStatus, error) {
	if w.silent {
		return api.GroupStatus{}, cdp.Errorf(cdp.Transient, "ask journal", string(g), "nobody answers")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return api.GroupStatus{Group: g, Frame: 9, Bounds: cdp.Bounds{Head: 50}, Lock: w.lock}, nil
}

func (w *world) Resolve(_ context.Context, r api.ResolveRequest) (api.Resolved, error) {
	if r.Point == "p99" {
		return api.Resolved{}, cdp.Errorf(cdp.NotFound, "resolve", r.Point, "no such point")
	}
	if r.Listen == "anywhere:1" {
		return api.Resolved{}, cdp.Errorf(cdp.Invalid, "listen", r.Listen, "the site does not serve disks there")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return api.Resolved{Seq: w.newest, Point: w.point}, nil
}

func (w *world) Tested(_ context.Context, r api.PointTestedRequest) (cdp.Point, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.Point != "p9" {
		return cdp.Point{}, cdp.Errorf(cdp.NotFound, "judge point", r.Point, "no such point")
	}
	w.tested = &r.Test
	return cdp.Point{Frame: 9}, nil
}

func (w *world) Open(ctx context.Context, r api.OpenRequest) (api.Export, error) {
	err := w.did(ctx, "open", w.open[r.ID], func() { w.open[r.ID] = true })
	return api.Export{ID: r.ID, Seq: r.Seq, Disks: []api.ExportDisk{{Name: "d", URI: "nbd://x/d"}}}, err
}

func (w *world) Close(ctx context.Context, r api.CloseRequest) error {
	return w.did(ctx, "close", !w.open[r.ID], func() { delete(w.open, r.ID) })
}

func (w *world) ListExports(context.Context, cdp.GroupID) (api.ExportsReply, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leaves > 0 {
		if w.leaves--; w.leaves == 0 {
			w.clients = nil
		}
	}
	r := api.ExportsReply{Exports: slices.Clone(w.exports)}
	for id := range w.open {
		r.Exports = append(r.Exports, api.Export{ID: id, Clients: w.clients, Disks: []api.ExportDisk{{Name: "d", Written: 3 << 20}}})
	}
	return r, nil
}

func (w *world) Absorb(ctx context.Context, r api.CloseRequest) (api.MoveReply, error) {
	if !w.open[r.ID] && !w.absorbed {
		return api.MoveReply{}, cdp.Errorf(cdp.NotFound, "absorb", r.ID, "no export")
	}
	return api.MoveReply{Done: true}, w.did(ctx, "absorb", w.absorbed, func() { w.absorbed = true })
}

func (w *world) Halt(ctx context.Context, _ api.RunRequest) (cdp.Bounds, error) {
	return cdp.Bounds{Head: 50}, w.did(ctx, "halt", w.halted, func() { w.halted = true })
}

func (w *world) Resume(ctx context.Context, _ api.RunRequest) (cdp.Bounds, error) {
	if w.vm.at != "" && w.vm.at != "transporter" {
		return cdp.Bounds{}, cdp.Errorf(cdp.Transient, "resume", "", "the disks are not here")
	}
	return cdp.Bounds{Head: 50}, w.did(ctx, "resume", !w.halted, func() { w.halted, w.released = false, false })
}

func (w *world) Move(ctx context.Context, r api.MoveRequest) (api.MoveReply, error) {
	w.mu.Lock()
	w.moves++
	done := w.moves > 2 && !w.stuck
	w.mu.Unlock()
	if !done {
		return api.MoveReply{Moved: 1, Total: 3}, nil
	}
	return api.MoveReply{Done: true}, w.did(ctx, "move", w.base == r.Seq, func() { w.base = r.Seq })
}

func (w *world) Seal(ctx context.Context, _ api.RunRequest) (api.SealReply, error) {
	return api.SealReply{Paths: []string{"/r"}}, w.did(ctx, "seal", w.sealed, func() { w.sealed = true })
}

// source is the world's source site.
type source struct{ w *world }

func (s source) Drain(context.Context, cdp.Site, api.DrainRequest) (api.DrainReply, error) {
	if s.w.dead {
		return api.DrainReply{}, cdp.Errorf(cdp.Transient, "drain", "", "nobody answers")
	}
	return api.DrainReply{Frame: 9, Seq: 50}, nil
}

func (s source) Status(ctx context.Context, _ cdp.Site, g cdp.GroupID) (api.CaptureGroup, error) {
	if s.w.dead { // and gives no error either
		<-ctx.Done()
		return api.CaptureGroup{}, cdp.Errorf(cdp.Transient, "ask", "", "nobody answers")
	}
	return api.CaptureGroup{Group: g, Seq: 50, Clients: s.w.guests}, nil
}

// oldVM is the VM at the source: on, until a failover fences it.
type oldVM struct {
	off     bool
	asks    int
	refuses string
}

func (s source) Fence(ctx context.Context, site cdp.Site, r api.FenceRequest) (api.Progress, error) {
	s.w.mu.Lock()
	old, dead := &s.w.old, s.w.dead
	old.asks++
	refuses, soon := old.refuses, old.asks%2 == 1
	s.w.mu.Unlock()
	switch {
	case dead:
		return api.Progress{}, cdp.Errorf(cdp.Transient, "fence", "", "nobody answers")
	case site != "prod" || r.VM != "u1" || r.Group != "web" || r.Turn == 0:
		return api.Progress{}, cdp.Errorf(cdp.Invalid, "fence", "", "%+v", r)
	case refuses != "":
		return api.Progress{}, cdp.Errorf(cdp.Conflict, "fence", "", "%s", refuses)
	case soon:
		return api.Progress{Text: "soon"}, nil
	case r.Want == recovery.Fenced:
		return api.Progress{Done: true, Text: "it is off"}, s.w.did(ctx, "fence", old.off, func() { old.off = true })
	}
	return api.Progress{Done: true, Text: "it is " + string(r.Want)}, s.w.did(ctx, "unfence", !old.off, func() { old.off = false })
}

func (w *world) Emit(_ context.Context, p event.Payload) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f, ok := p.(event.FailoverFinished); ok {
		w.finished[f.State]++
	}
	if x, ok := p.(event.FailoverWindowEnding); ok {
		w.warnings = append(w.warnings, x)
	}
	return nil
}
