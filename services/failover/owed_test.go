package failover_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/services/failover"
)

// ofVM makes the world's job one that protects a VM of a vCenter.
func (w *world) ofVM() {
	w.change("web", &spec.ReplicationJob{Name: "web", Source: spec.Source{Site: "prod", VM: "u1"},
		Target: spec.Target{Site: "dr", VM: "web-replica", Disks: []spec.TargetDisk{{Name: "d", Path: "/r"}}}})
}

// set changes the world under its lock.
func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) effect(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.effects[name]
}

func settled(want recovery.Fence) func(failoverrun.Run) bool {
	return func(r failoverrun.Run) bool { return r.Old != nil && r.Old.Want == want && r.Old.Done }
}

// A failover does not wait for a source that is gone. What is owed there is in the
// status, outlives the service, and is done once when the source returns; after an undo
// the VM at the source is given back.
func TestWhatIsOwedAtALostSourceIsDoneWhenItReturns(t *testing.T) {
	w := newWorld()
	w.ofVM()
	w.dead = true
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	life := func(do func(*failover.Service)) {
		sctx, kill := context.WithCancel(ctx)
		s := w.service()
		ended := make(chan struct{})
		go func() { defer close(ended); _ = s.Run(sctx) }()
		do(s)
		kill()
		<-ended
	}
	life(func(s *failover.Service) {
		if err := s.Start(ctx, failoverrun.Request{Job: "web", ID: "r", Mode: recovery.Production, To: recovery.ToVM}); err != nil {
			t.Fatal(err)
		}
		w.in(t, ctx, recovery.Ready)
		w.until(t, ctx, func(r failoverrun.Run) bool { return r.Old != nil && r.Old.Text != "" })
		run := w.state()
		if text := run.OldText(); !strings.Contains(text, "owed at prod: power it off") || !strings.Contains(text, "does not answer") {
			t.Errorf("status: %q", text)
		}
	})
	w.set(func() { w.dead = false })
	life(func(s *failover.Service) {
		w.until(t, ctx, settled(recovery.Fenced))
		run := w.state()
		if run.OldText() != "it is off" || w.effect("fence") != 1 {
			t.Errorf("%q, effects %v", run.OldText(), w.effects)
		}
		if err := s.Unfence(ctx, api.UnfenceRequest{Job: "web"}); !cdp.Is(err, cdp.Conflict) || !strings.Contains(cdp.HintOf(err), "undo") {
			t.Errorf("released while the replica VM may be taken back: %v", err)
		}
		w.set(func() { w.dead = true })
		if err := s.Ask(ctx, "web", "", recovery.Undo); err != nil {
			t.Fatal(err)
		}
		w.until(t, ctx, func(r failoverrun.Run) bool {
			return r.Phase == recovery.Undone && r.Old.Want == recovery.Restored && !r.Old.Done
		})
	})
	w.set(func() { w.dead = false })
	life(func(*failover.Service) { w.until(t, ctx, settled(recovery.Restored)) })
	if w.effect("unfence") != 1 || w.old.off {
		t.Errorf("effects %v, %+v", w.effects, w.old)
	}
}

// A planned failover takes the last write only from a VM that is off and stays off. If
// that cannot be, it ends with nothing changed.
func TestAPlannedFailoverFencesTheVMFirst(t *testing.T) {
	for name, c := range map[string]struct {
		hinder func(*world)
		want   recovery.Phase
	}{
		"fenced":  {func(*world) {}, recovery.Ready},
		"refused": {func(w *world) { w.old.refuses = "its guest did not shut down" }, recovery.Failed},
		"no word": {func(w *world) { w.dead = true }, recovery.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			w, s, ctx := running(t, time.Millisecond)
			w.ofVM()
			w.set(func() { c.hinder(w) })
			if err := s.Start(ctx, failoverrun.Request{Job: "web", ID: "r", Mode: recovery.Production, To: recovery.ToVM, Planned: true}); err != nil {
				t.Fatal(err)
			}
			w.in(t, ctx, c.want)
			run := w.state()
			first := slices.IndexFunc(run.Steps, func(st failoverrun.StepRecord) bool { return st.Step == recovery.FenceVM })
			if first != 0 {
				t.Errorf("the first step is %+v", run.Steps[0])
			}
			if c.want == recovery.Ready {
				if w.effect("fence") != 1 || !settled(recovery.Fenced)(run) {
					t.Errorf("effects %v, %+v", w.effects, run.Old)
				}
				return
			}
			if len(w.effects) > 0 || !run.Over() || run.Hint == "" && name == "no word" {
				t.Errorf("effects %v, %+v", w.effects, run)
			}
			w.set(func() { w.dead, w.old.refuses = false, "" })
			w.until(t, ctx, settled(recovery.Restored))
			if w.old.off {
				t.Error("the VM at the source is off")
			}
		})
	}
}

// After a commit the VM at the source stays off until somebody says that it may run.
func TestACommittedFailoverReleasesTheVMOnlyWhenAsked(t *testing.T) {
	w, s, ctx := running(t, time.Millisecond)
	w.ofVM()
	if err := s.Start(ctx, failoverrun.Request{Job: "web", ID: "r", Mode: recovery.Production, To: recovery.ToVM}); err != nil {
		t.Fatal(err)
	}
	w.in(t, ctx, recovery.Ready)
	if err := send(t, ctx, s, event.FailoverCommit{Job: "web"}); err != nil {
		t.Fatal(err)
	}
	w.in(t, ctx, recovery.Committed)
	w.until(t, ctx, settled(recovery.Fenced))
	if err := s.Unfence(ctx, api.UnfenceRequest{Job: "web"}); err != nil {
		t.Fatal(err)
	}
	w.until(t, ctx, settled(recovery.Released))
	run := w.state()
	if run.Phase != recovery.Committed || w.effect("unfence") != 1 {
		t.Errorf("%s, effects %v", run.Phase, w.effects)
	}
	if err := s.Unfence(ctx, api.UnfenceRequest{Job: "web"}); !cdp.Is(err, cdp.Duplicate) {
		t.Error(err)
	}
}

// A job was deleted after its failover was committed, and another of its name was made:
// that is failed over like any, and what is known of the VM at the source is kept.
func TestAnotherJobOfTheNameIsFailedOver(t *testing.T) {
	w, s, ctx := running(t, time.Millisecond)
	w.ofVM()
	start := func(id string) error {
		return s.Start(ctx, failoverrun.Request{Job: "web", ID: id, Mode: recovery.Production, To: recovery.ToVM})
	}
	if err := start("first"); err != nil {
		t.Fatal(err)
	}
	w.in(t, ctx, recovery.Ready)
	if err := send(t, ctx, s, event.FailoverCommit{Job: "web"}); err != nil {
		t.Fatal(err)
	}
	w.in(t, ctx, recovery.Committed)
	w.until(t, ctx, settled(recovery.Fenced))
	turn := w.state().Old.Turn
	if err := start("second"); !cdp.Is(err, cdp.Conflict) {
		t.Fatal(err)
	}
	w.set(func() {
		j := w.jobs["web"]
		j.ID = "another"
		w.jobs["web"] = j
	})
	if err := start("second"); err != nil {
		t.Fatal(err)
	}
	w.in(t, ctx, recovery.Ready)
	if run := w.state(); run.ID != "second" || run.Old == nil || run.Old.Turn <= turn {
		t.Errorf("%+v", run)
	}
}
