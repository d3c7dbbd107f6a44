package node

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"
)

// A lease has one holder. One that is released is taken at once; that of a process
// that was killed, when it has expired; a holder that lost it stops.
func TestALeaseHasOneHolder(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	conn := s.Connect("dr", subjects.Orchestrator)
	b, err := bus.OpenBucket[leaseEntry](t.Context(), conn, "dr", subjects.BucketState, subjects.KeyLease)
	if err != nil {
		t.Fatal(err)
	}
	sim := clock.NewSimulated(time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC))
	holder := func(name string, c clock.Clock) lease { return lease{b, subjects.Orchestrator, name, c} }
	hold := func(l lease) (held chan context.Context, end context.CancelFunc, ended chan error) {
		ctx, cancel := context.WithCancel(t.Context())
		held, ended = make(chan context.Context, 1), make(chan error, 1)
		go func() {
			ended <- l.Hold(ctx, func(ctx context.Context) error { held <- ctx; <-ctx.Done(); return nil })
		}()
		return held, cancel, ended
	}
	wait := func(what string, c <-chan context.Context) context.Context {
		t.Helper()
		select {
		case ctx := <-c:
			return ctx
		case <-time.After(time.Minute):
			t.Fatal(what)
			return nil
		}
	}

	aHeld, aEnd, aEnded := hold(holder("a", clock.System))
	wait("a does not get the lease", aHeld)
	bHeld, bEnd, bEnded := hold(holder("b", clock.System))
	defer bEnd()
	select {
	case <-bHeld:
		t.Error("two hold the lease")
	case <-time.After(50 * time.Millisecond):
	}
	aEnd()
	<-aEnded
	ctx := wait("b does not get a lease that was released", bHeld)

	// c has a clock of its own: for it the lease expires while b does not renew it.
	cHeld, cEnd, cEnded := hold(holder("c", sim))
	defer cEnd()
	for end := time.Now().Add(time.Minute); ctx.Err() == nil; {
		sim.Advance(leaseRenew / 4)
		select {
		case <-ctx.Done(): // b noticed that it was taken
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatal("b keeps a lease that c has taken")
		}
	}
	wait("c does not get a lease that expired", cHeld)
	<-bEnded
	cEnd()
	for done := false; !done; {
		select {
		case <-cEnded:
			done = true
		default:
			sim.Advance(leaseRenew)
			time.Sleep(time.Millisecond)
		}
	}
}

// A process that was killed and begins again where it was has its lease at once, and no two
// have it by that.
func TestAHolderThatBeginsAgainIsTheSame(t *testing.T) {
	dir := t.TempDir()
	me, unlock := steadyHolder(dir, subjects.Failover)
	if me == "" {
		t.Fatal("no name")
	}
	if other, unlock := steadyHolder(dir, subjects.Failover); other != "" {
		t.Errorf("two are %q", other)
	} else {
		unlock()
	}
	unlock()
	again, unlock := steadyHolder(dir, subjects.Failover)
	defer unlock()
	if again != me {
		t.Errorf("%q, before %q", again, me)
	}
	if elsewhere, unlock := steadyHolder(t.TempDir(), subjects.Failover); elsewhere == me || elsewhere == "" {
		t.Errorf("another is %q", elsewhere)
	} else {
		unlock()
	}
}
