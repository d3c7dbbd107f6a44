package failover_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/services/failover"
)

// The service is killed at random moments and started again on the same record.
// The journal and the vCenter, which count, see each effect once.
func TestAKilledServiceHasEachEffectOnce(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for _, c := range []struct {
		r    failoverrun.Request
		goal recovery.Goal
		want recovery.Phase
		eff  []string
	}{
		{failoverrun.Request{Mode: recovery.Test, To: recovery.ToNBD}, recovery.Cleanup, recovery.Cleaned, []string{"open", "close"}},
		{failoverrun.Request{Mode: recovery.Production, To: recovery.ToNBD}, recovery.Undo, recovery.Undone, []string{"halt", "open", "move", "close", "resume"}},
		{failoverrun.Request{Mode: recovery.Production, To: recovery.ToNBD, Planned: true}, recovery.Commit, recovery.Committed, []string{"halt", "open", "move", "absorb", "close", "seal"}},
		{failoverrun.Request{Mode: recovery.Production, To: recovery.ToFiles}, recovery.Commit, recovery.Committed, []string{"halt", "move", "seal"}},
		{failoverrun.Request{Mode: recovery.Test, To: recovery.ToVM}, recovery.Cleanup, recovery.Cleaned, []string{"keep", "vm-build", "fill", "vm-attach", "vm-boot", "vm-stop", "fill-stop", "vm-remove"}},
		{failoverrun.Request{Mode: recovery.Production, To: recovery.ToVM}, recovery.Undo, recovery.Undone, []string{"halt", "move", "release", "vm-attach", "vm-boot", "vm-stop", "vm-return", "resume"}},
		{failoverrun.Request{Mode: recovery.Production, To: recovery.ToVM, Planned: true}, recovery.Commit, recovery.Committed, []string{"halt", "move", "release", "vm-attach", "vm-boot", "vm-keep", "seal"}},
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
			r.Job, r.ID = "web", "run"
			until := func(f func(context.Context, *failover.Service) error, done func(failoverrun.Run) bool) {
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
				func(s failoverrun.Run) bool { return s.Phase == recovery.Ready })
			until(func(ctx context.Context, s *failover.Service) error { return s.Ask(ctx, "web", "", c.goal) },
				func(s failoverrun.Run) bool { return s.Phase == c.want })
			if got := w.effectsOnce(t); got != len(c.eff) {
				t.Fatalf("%s %s: effects %v, want %v", c.r.Mode, c.goal, w.effects, c.eff)
			}
			for _, e := range c.eff {
				if w.effects[e] != 1 {
					t.Fatalf("%s %s: no %s: %v", c.r.Mode, c.goal, e, w.effects)
				}
			}
			if w.finished[c.want] == 0 {
				t.Fatalf("no event says that it is %s: %v", c.want, w.finished)
			}
		}
	}
}

// A disaster does not wait for a test: a production failover ends it first, unless a
// client uses its disks. A second test is refused.
func TestAProductionFailoverEndsATest(t *testing.T) {
	w := newWorld()
	s := w.service()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	start := func(r failoverrun.Request, want cdp.Kind) {
		t.Helper()
		err := s.Start(ctx, r)
		for cdp.Is(err, cdp.Transient) {
			err = s.Start(ctx, r)
		}
		if want == "" && err != nil || want != "" && !cdp.Is(err, want) {
			t.Fatal(r.ID, err)
		}
	}
	ready := func(id string) {
		t.Helper()
		for run := w.state(); run.ID != id || run.Phase != recovery.Ready; run = w.state() {
			if run.ID == id && run.Phase == recovery.Failed {
				t.Fatal(run.Error)
			}
			time.Sleep(time.Millisecond)
		}
	}
	test := failoverrun.Request{Job: "web", ID: "t1", Mode: recovery.Test, To: recovery.ToNBD}
	start(test, "")
	ready("t1")
	test.ID = "t2"
	start(test, cdp.Conflict)
	use := func(clients ...string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.clients = clients
	}
	use("10.0.0.9:4711")
	disaster := failoverrun.Request{Job: "web", ID: "p1", Mode: recovery.Production, To: recovery.ToNBD}
	start(disaster, cdp.Conflict)
	if run := w.state(); run.ID != "t1" || run.Phase != recovery.Ready {
		t.Fatalf("a test that is in use is %s", run.Phase)
	}
	use()
	start(disaster, "")
	ready("p1")
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open["t1"] || !w.open["p1"] || w.finished[recovery.Cleaned] == 0 {
		t.Fatalf("open %v, finished %v", w.open, w.finished)
	}
}

func TestRefusesBeforeAnythingChanges(t *testing.T) {
	w := newWorld()
	s := w.service()
	for name, c := range map[string]struct {
		r    failoverrun.Request
		kind cdp.Kind
	}{
		"no such job":                  {failoverrun.Request{Job: "nope", ID: "r", Mode: recovery.Test, To: recovery.ToNBD}, cdp.NotFound},
		"no such point":                {failoverrun.Request{Job: "web", ID: "r", Mode: recovery.Production, To: recovery.ToNBD, Point: "p99"}, cdp.NotFound},
		"no replica VM":                {failoverrun.Request{Job: "plain", ID: "r", Mode: recovery.Test, To: recovery.ToVM}, cdp.Conflict},
		"bad address":                  {failoverrun.Request{Job: "web", ID: "r", Mode: recovery.Production, To: recovery.ToNBD, Listen: "anywhere:1"}, cdp.Invalid},
		"bad address of a planned one": {failoverrun.Request{Job: "web", ID: "r", Mode: recovery.Production, To: recovery.ToNBD, Planned: true, Listen: "anywhere:1"}, cdp.Invalid},
		"bad mode":                     {failoverrun.Request{Job: "web", ID: "r", Mode: "maybe", To: recovery.ToNBD}, cdp.Invalid},
	} {
		if err := s.Start(t.Context(), c.r); !cdp.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Ask(t.Context(), "web", "", recovery.Undo); !cdp.Is(err, cdp.NotFound) {
		t.Error("undo of nothing:", err)
	}
	if len(w.effects) > 0 || w.rev != 0 {
		t.Error("something changed", w.effects)
	}
}

// While the journal does not answer, a start is retried for a while. A run that
// nobody waits for any more does not begin.
func TestAStartIsNotRetriedForEver(t *testing.T) {
	w := newWorld()
	w.silent = true
	s := w.service()
	at := func(sent time.Time) error {
		e, err := event.New("01J00000000000000000000000", sent, "/dr/cli", event.FailoverStart{Job: "web", Run: "r", Mode: recovery.Test, To: recovery.ToNBD})
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

// Of two runs that start at the same moment, one is refused.
func TestTwoStartsAtOnceMakeOneRun(t *testing.T) {
	w := newWorld()
	s := w.service()
	errs := make(chan error, 2)
	for _, run := range []string{"a", "b"} {
		go func() {
			errs <- s.Start(t.Context(), failoverrun.Request{Job: "web", ID: run, Mode: recovery.Test, To: recovery.ToNBD})
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

// With the source gone, an emergency failover does not wait for it, and a planned
// one ends at once with nothing changed.
func TestFailoverWithoutTheSource(t *testing.T) {
	for _, planned := range []bool{false, true} {
		w := newWorld()
		w.dead = true
		s := w.service()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = s.Run(ctx) }()
		began := time.Now()
		if err := s.Start(ctx, failoverrun.Request{Job: "web", ID: "r", Mode: recovery.Production, To: recovery.ToFiles, Planned: planned}); err != nil {
			t.Fatal(err)
		}
		want := recovery.Ready
		if planned {
			want = recovery.Failed
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

// The summary says where the VM is and what its checks found. A failed check
// leaves the VM running; a step that fails before is reversed.
func TestASummaryTellsOfTheVM(t *testing.T) {
	for name, c := range map[string]struct {
		lame    bool
		refuses string
		want    recovery.Phase
		says    []string
	}{
		"all well":            {want: recovery.Ready, says: []string{"web-replica is on", "10.1.2.3", "passed: tools, ping"}},
		"no ping":             {lame: true, want: recovery.Ready, says: []string{"failed: ping (no answer)", "passed: tools"}},
		"checks cannot begin": {refuses: "vm-check", want: recovery.Ready, says: []string{"could not be made"}},
		"no boot":             {refuses: "vm-boot", want: recovery.Failed, says: []string{"lock", "nothing is changed"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.vm.lame, w.vm.refuses = c.lame, c.refuses
			s := w.service()
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			ended := make(chan struct{})
			go func() { defer close(ended); _ = s.Run(ctx) }()
			if err := s.Start(ctx, failoverrun.Request{Job: "web", ID: "r", Mode: recovery.Production, To: recovery.ToVM}); err != nil {
				t.Fatal(err)
			}
			for w.state().Phase != c.want && ctx.Err() == nil || w.finishes(c.want) == 0 && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			stop()
			<-ended
			st := w.state()
			if st.Phase != c.want || st.CheckFailed != (c.lame || c.refuses == "vm-check") || (c.want == recovery.Ready) == st.UsableAt.IsZero() {
				t.Fatalf("%+v", st)
			}
			for _, word := range c.says {
				if text := st.Summary(); !strings.Contains(text, word) {
					t.Errorf("%q does not say %q", text, word)
				}
			}
			if c.want == recovery.Failed && (w.vm.at != "transporter" || w.halted || w.released) {
				t.Errorf("not reversed: %+v", w.vm)
			}
		})
	}
}
