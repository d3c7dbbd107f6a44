// Package keylock has locks by key, such as one for each VM. Waiters give up with
// their context, and a holder can let others interrupt its work.
//
// It is for one process. It never decides who goes first: waiters get a lock in
// no particular order.
package keylock

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrWanted is the cause of a context that ended because somebody else wants the
// lock.
var ErrWanted = errors.New("the lock is wanted by somebody else")

// Locks are the locks of all keys. The zero value is ready for use, and all
// methods may be called by many goroutines.
type Locks[K comparable] struct {
	mu sync.Mutex
	// m has the locks that are held or waited for.
	m map[K]*lock
}

type lock struct {
	taken   chan struct{} // has room for one: the holder
	users   int           // holder and waiters
	waiting int
	yield   context.CancelCauseFunc // the holder's, while it can be interrupted
}

// Lock waits for a key's lock and interrupts its holder if that allows it. An
// error is ctx's. Call unlock once.
func (l *Locks[K]) Lock(ctx context.Context, key K) (unlock func(), err error) {
	l.mu.Lock()
	x := l.use(key)
	x.waiting++
	if x.yield != nil {
		x.yield(ErrWanted)
	}
	l.mu.Unlock()
	select {
	case x.taken <- struct{}{}:
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	x.waiting--
	if err != nil {
		l.leave(key, x)
		return nil, err
	}
	return l.unlock(key, x), nil
}

// Yielding is for the holder of a key's lock: the returned ctx ends as soon as
// somebody else waits for the lock. Call done before unlocking.
func (l *Locks[K]) Yielding(ctx context.Context, key K) (yielding context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.use(key)
	x.yield = cancel
	if x.waiting > 0 {
		cancel(ErrWanted)
	}
	return ctx, func() {
		l.mu.Lock()
		x.yield = nil
		l.leave(key, x)
		l.mu.Unlock()
		cancel(nil)
	}
}

// Borrow takes a key's lock if it is free. The returned ctx ends as soon as
// somebody else waits for the lock, and after longest. Call unlock once.
func (l *Locks[K]) Borrow(ctx context.Context, key K, longest time.Duration) (borrowed context.Context, unlock func(), ok bool) {
	l.mu.Lock()
	x := l.use(key)
	select {
	case x.taken <- struct{}{}:
		l.mu.Unlock()
	default:
		l.leave(key, x)
		l.mu.Unlock()
		return nil, nil, false
	}
	free := l.unlock(key, x)
	ctx, cancel := context.WithTimeout(ctx, longest)
	ctx, done := l.Yielding(ctx, key)
	return ctx, func() { done(); cancel(); free() }, true
}

// use is the key's lock with one more user; l.mu is held.
func (l *Locks[K]) use(key K) *lock {
	if l.m == nil {
		l.m = map[K]*lock{}
	}
	x := l.m[key]
	if x == nil {
		x = &lock{taken: make(chan struct{}, 1)}
		l.m[key] = x
	}
	x.users++
	return x
}

// leave ends a use; l.mu is held.
func (l *Locks[K]) leave(key K, x *lock) {
	if x.users--; x.users == 0 {
		delete(l.m, key)
	}
}

func (l *Locks[K]) unlock(key K, x *lock) func() {
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		<-x.taken
		l.leave(key, x)
	}
}
