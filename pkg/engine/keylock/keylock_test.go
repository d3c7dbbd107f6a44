package keylock

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestALockIsHeldByOne(t *testing.T) {
	var l Locks[string]
	unlock, err := l.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Lock(t.Context(), "b")
	if err != nil {
		t.Fatal("the lock of another key:", err)
	}
	other()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := l.Lock(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a held lock: %v", err)
	}
	if _, _, ok := l.Borrow(t.Context(), "a", time.Hour); ok {
		t.Fatal("a held lock was borrowed")
	}
	got := make(chan func())
	go func() {
		u, err := l.Lock(t.Context(), "a")
		if err != nil {
			t.Error(err)
		}
		got <- u
	}()
	unlock()
	(<-got)()
	if len(l.m) != 0 {
		t.Errorf("%d locks are left that nobody uses", len(l.m))
	}
}

func TestABorrowerIsInterruptedByAWaiter(t *testing.T) {
	var l Locks[string]
	ctx, unlock, ok := l.Borrow(t.Context(), "a", time.Hour)
	if !ok || ctx.Err() != nil {
		t.Fatal(ok, ctx.Err())
	}
	got := make(chan func())
	go func() {
		u, err := l.Lock(t.Context(), "a")
		if err != nil {
			t.Error(err)
		}
		got <- u
	}()
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), ErrWanted) {
		t.Errorf("cause: %v", context.Cause(ctx))
	}
	unlock()
	(<-got)()
	if _, unlock, ok = l.Borrow(t.Context(), "a", time.Hour); !ok {
		t.Fatal("the lock is not free again")
	}
	unlock()
	if len(l.m) != 0 {
		t.Errorf("%d locks are left that nobody uses", len(l.m))
	}
}

func TestAHolderThatYieldsSeesWhoWaitedBefore(t *testing.T) {
	var l Locks[string]
	unlock, err := l.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan func())
	go func() {
		u, err := l.Lock(t.Context(), "a")
		if err != nil {
			t.Error(err)
		}
		got <- u
	}()
	for waiting := 0; waiting == 0; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		waiting = l.m["a"].waiting
		l.mu.Unlock()
	}
	ctx, done := l.Yielding(t.Context(), "a")
	if !errors.Is(context.Cause(ctx), ErrWanted) {
		t.Errorf("cause: %v", context.Cause(ctx))
	}
	done()
	unlock()
	(<-got)()
}

func TestABorrowerEndsInTime(t *testing.T) {
	var l Locks[int]
	ctx, unlock, ok := l.Borrow(t.Context(), 1, time.Millisecond)
	if !ok {
		t.Fatal("not borrowed")
	}
	defer unlock()
	<-ctx.Done()
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("%v", ctx.Err())
	}
}
