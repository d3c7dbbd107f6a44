package failover_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

// A run works with the spec its job had at the start and with the point it
// resolved, though the job is changed or deleted, and newer points arrive, while
// the run is in progress.
func TestARunKeepsTheSpecAndThePointItBeganWith(t *testing.T) {
	other := &spec.ReplicationJob{Name: "web", Source: spec.Source{Site: "elsewhere", Capture: cdp.CBT},
		Target: spec.Target{Site: "nowhere", Disks: []spec.TargetDisk{{Name: "d", Path: "/other"}}}}
	for name, c := range map[string]struct {
		to   recovery.Destination
		spec *spec.ReplicationJob
	}{
		"changed, to files": {recovery.ToFiles, other},
		"deleted, to files": {recovery.ToFiles, nil},
		"changed, to a VM":  {recovery.ToVM, other},
		"deleted, to a VM":  {recovery.ToVM, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.stuck = true
			s := w.service()
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			ended := make(chan struct{})
			go func() { defer close(ended); _ = s.Run(ctx) }()
			defer func() { stop(); <-ended }()
			began, _ := specs{w}.Get(ctx, "web")
			if err := s.Start(ctx, failoverrun.Request{Job: "web", ID: "r", Mode: recovery.Production, To: c.to}); err != nil {
				t.Fatal(err)
			}
			w.until(t, ctx, func(r failoverrun.Run) bool { cur, _ := r.Current(); return cur.Step == recovery.Move })
			w.change("web", c.spec)
			w.mu.Lock()
			w.stuck, w.newest = false, 70
			w.mu.Unlock()
			run := w.until(t, ctx, func(r failoverrun.Run) bool { return r.Phase == recovery.Ready || r.Over() })
			if run.Phase != recovery.Ready || run.Pinned.Revision != began.Revision || run.Snapshots || run.Resolved.Seq != 50 || w.base != 50 {
				t.Fatalf("%+v", run)
			}
			if c.to == recovery.ToFiles && !slices.Equal(run.Paths, []string{"/r"}) {
				t.Errorf("paths %v", run.Paths)
			}
			if err := s.Ask(ctx, "web", "", recovery.Undo); err != nil {
				t.Fatal(err)
			}
			w.until(t, ctx, func(r failoverrun.Run) bool { return r.Phase == recovery.Undone })
		})
	}
}

// until waits for a state of the run.
func (w *world) until(t *testing.T, ctx context.Context, ok func(failoverrun.Run) bool) failoverrun.Run {
	t.Helper()
	for ctx.Err() == nil {
		if run := w.state(); ok(run) {
			return run
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("it does not happen: %+v", w.state())
	return failoverrun.Run{}
}
