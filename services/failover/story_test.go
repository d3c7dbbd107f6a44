package failover_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/services/failover"
)

// TestKilledAtAnyMoment runs failovers while the service is ended at random
// moments and started again over the same record. The journal, which counts,
// sees each effect once.
func TestKilledAtAnyMoment(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for _, c := range []struct {
		r    failoverrun.Request
		goal failoverrun.Goal
		want failoverrun.Phase
		eff  []string
	}{
		{failoverrun.Request{Mode: "test", To: "nbd"}, failoverrun.Cleanup, failoverrun.Cleaned, []string{"open", "close"}},
		{failoverrun.Request{Mode: "production", To: "nbd"}, failoverrun.Undo, failoverrun.Undone, []string{"halt", "open", "move", "close", "resume"}},
		{failoverrun.Request{Mode: "production", To: "nbd", Planned: true}, failoverrun.Commit, failoverrun.Committed, []string{"halt", "open", "move", "absorb", "close", "seal"}},
		{failoverrun.Request{Mode: "production", To: "files"}, failoverrun.Commit, failoverrun.Committed, []string{"halt", "move", "seal"}},
		{failoverrun.Request{Mode: "test", To: "vm"}, failoverrun.Cleanup, failoverrun.Cleaned, []string{"keep", "vm-build", "fill", "vm-attach", "vm-boot", "vm-stop", "fill-stop", "vm-remove"}},
		{failoverrun.Request{Mode: "production", To: "vm"}, failoverrun.Undo, failoverrun.Undone, []string{"halt", "move", "release", "vm-attach", "vm-boot", "vm-stop", "vm-return", "resume"}},
		{failoverrun.Request{Mode: "production", To: "vm", Planned: true}, failoverrun.Commit, failoverrun.Committed, []string{"halt", "move", "release", "vm-attach", "vm-boot", "vm-keep", "seal"}},
	} {
		for range 15 {
			w := newWorld()
			life := func(f func(context.Context, *failover.Service) error) {
				ctx, kill := context.WithCancel(t.Context())
				s := w.service()
				ended := make(chan struct{})
				go func() { defer close(ended); _ = s.Run(ctx) }()
				err := f(ctx, s)
				time.Sleep(time.Duration(rnd.IntN(4000)) * time.Microsecond)
				kill()
				<-ended
				if err != nil && !cdp.Is(err, cdp.Duplicate) && !cdp.Is(err, cdp.Transient) {
					t.Fatal(err)
				}
			}
			r := c.r
			r.Job, r.Run = "web", "run"
			until := func(f func(context.Context, *failover.Service) error, done func(failoverrun.State) bool) {
				for n := 0; ; n++ {
					life(f)
					if st, _, err := w.Get(t.Context(), "web"); err == nil && done(st) {
						return
					}
					if n > 500 {
						t.Fatalf("no end: %+v", w.state())
					}
				}
			}
			until(func(ctx context.Context, s *failover.Service) error { return s.Start(ctx, r) },
				func(s failoverrun.State) bool { return s.Phase == failoverrun.Ready })
			until(func(ctx context.Context, s *failover.Service) error { return s.Ask(ctx, "web", "", c.goal) },
				func(s failoverrun.State) bool { return s.Phase == c.want })
			if got := w.effectsOnce(t); got != len(c.eff) {
				t.Fatalf("%s %s: effects %v, want %v", c.r.Mode, c.goal, w.effects, c.eff)
			}
			for _, e := range c.eff {
				if w.effects[e] != 1 {
					t.Fatalf("%s %s: no %s: %v", c.r.Mode, c.goal, e, w.effects)
				}
			}
			if w.finished[string(c.want)] == 0 {
				t.Fatalf("nobody was told that it is %s: %v", c.want, w.finished)
			}
		}
	}
}

func TestRefusesBeforeAnythingChanges(t *testing.T) {
	w := newWorld()
	s := w.service()
	for name, c := range map[string]struct {
		r    failoverrun.Request
		kind cdp.Kind
	}{
		"no such job":   {failoverrun.Request{Job: "nope", Run: "r", Mode: "test", To: "nbd"}, cdp.NotFound},
		"no such point": {failoverrun.Request{Job: "web", Run: "r", Mode: "production", To: "nbd", Point: "p99"}, cdp.NotFound},
		"no replica VM": {failoverrun.Request{Job: "plain", Run: "r", Mode: "test", To: "vm"}, cdp.Conflict},
		"bad mode":      {failoverrun.Request{Job: "web", Run: "r", Mode: "maybe", To: "nbd"}, cdp.Invalid},
	} {
		if err := s.Start(t.Context(), c.r); !cdp.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Ask(t.Context(), "web", "", failoverrun.Undo); !cdp.Is(err, cdp.NotFound) {
		t.Error("undo of nothing:", err)
	}
	if len(w.effects) > 0 || w.rev != 0 {
		t.Error("something changed", w.effects)
	}
}

// TestAStartIsNotTriedForEver: a journal that does not answer is asked again for
// a while; a run that nobody waits for any more does not begin by itself.
func TestAStartIsNotTriedForEver(t *testing.T) {
	w := newWorld()
	w.silent = true
	s := w.service()
	at := func(sent time.Time) error {
		e, err := event.New("01J00000000000000000000000", sent, "/dr/cli", event.FailoverStart{Job: "web", Run: "r", Mode: "test", To: "nbd"})
		if err != nil {
			t.Fatal(err)
		}
		return s.HandleStart(t.Context(), e)
	}
	if err := at(time.Now()); !cdp.Is(err, cdp.Transient) {
		t.Error(err)
	}
	if err := at(time.Now().Add(-time.Hour)); !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "nothing was begun") || cdp.HintOf(err) == "" {
		t.Error(err)
	}
	if len(w.effects) > 0 || w.rev != 0 {
		t.Error("something changed", w.effects)
	}
}

// TestTwoAtOnce: of two runs that start at the same moment one is refused and
// is told the other's name.
func TestTwoAtOnce(t *testing.T) {
	w := newWorld()
	s := w.service()
	errs := make(chan error, 2)
	for _, run := range []string{"a", "b"} {
		go func() {
			errs <- s.Start(t.Context(), failoverrun.Request{Job: "web", Run: run, Mode: "test", To: "nbd"})
		}()
	}
	a, b := <-errs, <-errs
	if (a == nil) == (b == nil) {
		t.Fatal(a, b)
	}
	if a == nil {
		a = b
	}
	if !cdp.Is(a, cdp.Conflict) {
		t.Fatal(a)
	}
}

// TestDeadSource: an emergency failover does not wait for the source, and a
// planned one ends at once with nothing changed.
func TestDeadSource(t *testing.T) {
	for _, planned := range []bool{false, true} {
		w := newWorld()
		w.dead = true
		s := w.service()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = s.Run(ctx) }()
		began := time.Now()
		if err := s.Start(ctx, failoverrun.Request{Job: "web", Run: "r", Mode: "production", To: "files", Planned: planned}); err != nil {
			t.Fatal(err)
		}
		want := failoverrun.Ready
		if planned {
			want = failoverrun.Failed
		}
		for w.state().Phase != want {
			if time.Since(began) > time.Minute {
				t.Fatalf("%+v", w.state())
			}
			time.Sleep(time.Millisecond)
		}
		stop()
		<-ended
		st := w.state()
		if planned && (len(w.effects) > 0 || !st.Over() || st.Hint == "") || !planned && st.Loss() == "" {
			t.Fatalf("%+v", st)
		}
	}
}

// TestVMInWords: the operator is told where the VM is and what its checks found;
// a check that fails leaves it running, what fails before is taken back.
func TestVMInWords(t *testing.T) {
	for name, c := range map[string]struct {
		lame    bool
		refuses string
		want    failoverrun.Phase
		says    []string
	}{
		"all well":            {want: failoverrun.Ready, says: []string{"web-replica is on", "10.1.2.3", "passed: tools, ping"}},
		"no ping":             {lame: true, want: failoverrun.Ready, says: []string{"failed: ping (no answer)", "passed: tools"}},
		"checks cannot begin": {refuses: "vm-check", want: failoverrun.Ready, says: []string{"could not be made"}},
		"no boot":             {refuses: "vm-boot", want: failoverrun.Failed, says: []string{"lock", "nothing is changed"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.vm.lame, w.vm.refuses = c.lame, c.refuses
			s := w.service()
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			ended := make(chan struct{})
			go func() { defer close(ended); _ = s.Run(ctx) }()
			if err := s.Start(ctx, failoverrun.Request{Job: "web", Run: "r", Mode: "production", To: "vm"}); err != nil {
				t.Fatal(err)
			}
			for w.state().Phase != c.want && ctx.Err() == nil || w.finishes(string(c.want)) == 0 && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			stop()
			<-ended
			st := w.state()
			if st.Phase != c.want || st.CheckFailed != (c.lame || c.refuses == "vm-check") || (c.want == failoverrun.Ready) == st.UsableAt.IsZero() {
				t.Fatalf("%+v", st)
			}
			for _, word := range c.says {
				if text := failover.Summary(st); !strings.Contains(text, word) {
					t.Errorf("%q does not say %q", text, word)
				}
			}
			if c.want == failoverrun.Failed && (w.vm.at != "transporter" || w.halted || w.released) {
				t.Errorf("not taken back: %+v", w.vm)
			}
		})
	}
}
