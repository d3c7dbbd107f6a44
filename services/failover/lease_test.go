package failover_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// turns is failover.Lease: whoever has the token.
type turns chan struct{}

func (l turns) Hold(ctx context.Context, fn func(context.Context) error) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case l <- struct{}{}:
	}
	defer func() { <-l }()
	return fn(ctx)
}

// Two services of a site: one takes the requests, the other holds the lease and does what
// they ask for. It is killed again and again, the first one goes on, and each step happens
// once.
func TestAnotherServiceOfTheSiteGoesOn(t *testing.T) {
	w := newWorld()
	w.lease = make(turns, 1)
	live := func() (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		s := w.service()
		go func() { defer close(ended); _ = s.Run(ctx) }()
		return func() { cancel(); <-ended }
	}
	driver := live()
	taker := w.service() // which never gets the lease: it does not run
	r := failoverrun.Request{Job: "web", ID: "run", Mode: recovery.Production, To: recovery.ToVM, Planned: true}
	if err := taker.Start(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	until := func(phase recovery.Phase) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; {
			if run, _, err := w.Get(t.Context(), "web"); err == nil && run.Phase == phase {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("no end: %+v", w.state())
			}
			next := live()
			time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
			driver()
			driver = next
		}
	}
	until(recovery.Ready)
	if err := taker.Ask(t.Context(), "web", "", recovery.Commit); err != nil && !cdp.Is(err, cdp.Duplicate) {
		t.Fatal(err)
	}
	until(recovery.Committed)
	driver()
	if n := w.effectsOnce(t); n != 7 {
		t.Errorf("effects %v", w.effects)
	}
}
