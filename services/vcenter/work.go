package vcenter

import (
	"context"
	"sync"
	"time"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/cdp"
)

// lanes is work that outlives the request that began it. A lane does one thing
// at a time, so that what touches one group never overlaps.
type lanes struct {
	base     context.Context
	patience time.Duration
	longest  time.Duration
	wg       sync.WaitGroup

	mu sync.Mutex
	at map[string]*work
}

// work is one thing under way, or done and not told yet.
type work struct {
	id     string
	done   chan struct{}
	cancel context.CancelFunc
	ended  time.Time

	mu     sync.Mutex
	so     api.Progress
	result any
	err    error
}

// keepFor is how long a result waits for its asker. A later one begins anew:
// everything here does nothing the second time.
const keepFor = time.Minute

// report tells how far work is.
type report func(text string, moved, total int64)

// begin gives the lane's work under id, begun now unless it is under way; nil
// while the lane is busy with something else, which is given instead.
func (l *lanes) begin(lane, id string, fn func(context.Context, report) (any, error)) (mine, other *work) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.at[lane]; w != nil {
		ended := false
		select {
		case <-w.done:
			ended = true
		default:
		}
		switch {
		case w.id == id && (!ended || time.Since(w.ended) < keepFor):
			return w, nil
		case !ended:
			return nil, w
		}
	}
	ctx, cancel := context.WithTimeout(l.base, l.longest)
	w := &work{id: id, done: make(chan struct{}), cancel: cancel}
	l.at[lane] = w
	l.wg.Go(func() {
		defer close(w.done)
		defer cancel()
		result, err := fn(ctx, func(text string, moved, total int64) {
			w.mu.Lock()
			w.so = api.Progress{Text: text, Moved: moved, Total: total}
			w.mu.Unlock()
		})
		w.mu.Lock()
		w.result, w.err, w.ended = result, err, time.Now()
		w.mu.Unlock()
	})
	return w, nil
}

// stop ends what the lane does, if idle says of its id that nobody loses by it.
func (l *lanes) stop(lane string, idle func(id string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.at[lane]; w != nil && idle(w.id) {
		w.cancel()
	}
}

// forget takes a result that was told.
func (l *lanes) forget(lane string, w *work) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at[lane] == w {
		delete(l.at, lane)
	}
}

// inLane does fn in a lane and waits for it a little. Unless the progress is
// Done or there is an error, the same must be asked again.
func inLane[T any](ctx context.Context, l *lanes, lane, id string, fn func(context.Context, report) (T, error)) (out T, p api.Progress, err error) {
	timeout := time.NewTimer(l.patience)
	defer timeout.Stop()
	for {
		w, other := l.begin(lane, id, func(ctx context.Context, r report) (any, error) { return fn(ctx, r) })
		wait := w
		if w == nil {
			wait = other
		}
		select {
		case <-wait.done:
			if w == nil {
				continue
			}
			l.forget(lane, w)
			if w.err != nil {
				return out, p, w.err
			}
			out, _ = w.result.(T)
			p = w.so
			p.Done = true
			return out, p, nil
		case <-ctx.Done():
			return out, p, cdp.Wrap(ctx.Err(), "wait", id)
		case <-timeout.C:
		}
		wait.mu.Lock()
		p = wait.so
		wait.mu.Unlock()
		if w == nil {
			p = api.Progress{Text: "waits for what is being done: " + p.Text}
		}
		return out, p, nil
	}
}

// locks are by name, and their waiters give up with their ctx.
type locks struct {
	mu sync.Mutex
	at map[string]chan struct{}
}

func (l *locks) slot(name string) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[string]chan struct{}{}
	}
	if l.at[name] == nil {
		l.at[name] = make(chan struct{}, 1)
	}
	return l.at[name]
}

// lock waits for the lock; unlock gives it back.
func (l *locks) lock(ctx context.Context, name string) (unlock func(), err error) {
	s := l.slot(name)
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	case <-ctx.Done():
		return nil, cdp.Errorf(cdp.Transient, "wait for", name, "%w", ctx.Err())
	}
}

// try takes the lock if it is free.
func (l *locks) try(name string) (unlock func(), ok bool) {
	s := l.slot(name)
	select {
	case s <- struct{}{}:
		return func() { <-s }, true
	default:
		return nil, false
	}
}
