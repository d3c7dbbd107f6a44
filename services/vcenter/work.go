package vcenter

import (
	"context"
	"errors"
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// lanes is work that outlives the request that began it. A lane does one thing
// at a time, so that what touches one group never overlaps.
type lanes struct {
	base     context.Context
	patience time.Duration
	longest  time.Duration
	wg       sync.WaitGroup

	seed maphash.Seed

	mu sync.Mutex
	at map[string]*work
	// cutOff is the work that was cut off in a lane last, for its askers.
	cutOff map[string]*work
}

func newLanes(base context.Context, patience, longest time.Duration) *lanes {
	return &lanes{base: base, patience: patience, longest: longest, seed: maphash.MakeSeed(), at: map[string]*work{}, cutOff: map[string]*work{}}
}

// sign is a request as an id of work, which may be told: there may be secrets in
// the request.
func (l *lanes) sign(request []byte) string {
	return strconv.FormatUint(maphash.Bytes(l.seed, request), 16)
}

// work is one thing under way, or done and not told yet.
type work struct {
	id     string
	done   chan struct{}
	cancel context.CancelCauseFunc
	ended  time.Time

	mu     sync.Mutex
	so     api.Progress
	result any
	err    error
}

// keepFor is how long a result waits for its asker. A later one begins anew:
// everything here does nothing the second time.
const keepFor = time.Minute

// tellFor is how long who asks for work that was cut off is told so. They ask
// again within a second; later it is somebody who wants it anew.
const tellFor = 10 * time.Second

// report tells how far work is.
type report func(text string, moved, total int64)

// begin gives the lane's work under id, begun now unless it is under way; nil
// while the lane is busy with something else, which is given instead.
func (l *lanes) begin(lane, id string, fn func(context.Context, report) (any, error)) (mine, other *work) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.cutOff[lane]; w != nil && w.id == id {
		if !w.over() || time.Since(w.ended) < tellFor {
			return w, nil
		}
		delete(l.cutOff, lane)
	}
	if w := l.at[lane]; w != nil {
		ended := w.over()
		switch {
		case w.id == id && (!ended || time.Since(w.ended) < keepFor):
			return w, nil
		case !ended:
			return nil, w
		}
	}
	base, cancel := context.WithCancelCause(l.base)
	w := &work{id: id, done: make(chan struct{}), cancel: cancel}
	l.at[lane] = w
	l.wg.Go(func() {
		defer close(w.done)
		defer cancel(nil)
		ctx, stop := context.WithTimeout(base, l.longest)
		defer stop()
		result, err := fn(ctx, func(text string, moved, total int64) {
			w.mu.Lock()
			w.so = api.Progress{Text: text, Moved: moved, Total: total}
			w.mu.Unlock()
		})
		var why *cdp.Error
		if err != nil && errors.As(context.Cause(base), &why) {
			err = why
		}
		w.mu.Lock()
		w.result, w.err, w.ended = result, err, time.Now()
		w.mu.Unlock()
	})
	return w, nil
}

func (w *work) over() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// cut ends what is under way in a lane, unless that is keep. Who asks for it is
// told why, and does not begin it anew.
func (l *lanes) cut(lane, keep string, why *cdp.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.at[lane]; w != nil && w.id != keep && !w.over() {
		w.cancel(why)
		l.cutOff[lane] = w
	}
}

// stop ends what the lane does, if idle says of its id that nobody loses by it.
func (l *lanes) stop(lane string, idle func(id string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.at[lane]; w != nil && idle(w.id) {
		w.cancel(nil)
	}
}

// forget takes a result that was told.
func (l *lanes) forget(lane string, w *work) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at[lane] == w {
		delete(l.at, lane)
	}
	if l.cutOff[lane] == w {
		delete(l.cutOff, lane)
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
	at map[string]*slot
}

// slot is one lock. Its holder may have said how it is asked to give way.
type slot struct {
	taken   chan struct{}
	waiting int
	yield   context.CancelCauseFunc
}

func (l *locks) slot(name string) *slot {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[string]*slot{}
	}
	if l.at[name] == nil {
		l.at[name] = &slot{taken: make(chan struct{}, 1)}
	}
	return l.at[name]
}

// lock waits for the lock, whose holder is asked to give way; unlock gives it
// back.
func (l *locks) lock(ctx context.Context, name string) (unlock func(), err error) {
	s := l.slot(name)
	l.mu.Lock()
	s.waiting++
	if s.yield != nil {
		s.yield(errWanted)
	}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		s.waiting--
		l.mu.Unlock()
	}()
	select {
	case s.taken <- struct{}{}:
		return func() { <-s.taken }, nil
	case <-ctx.Done():
		return nil, cdp.Errorf(cdp.Transient, "wait for", name, "%w", ctx.Err())
	}
}

// errWanted is why something was broken off that can be done later as well.
var errWanted = errors.New("somebody else wants it")

// yielding is for who has the lock: a ctx that ends when somebody else waits for
// it. done comes before the lock is given back.
func (l *locks) yielding(ctx context.Context, name string) (_ context.Context, done func()) {
	s := l.slot(name)
	ctx, cancel := context.WithCancelCause(ctx)
	l.mu.Lock()
	s.yield = cancel
	if s.waiting > 0 {
		cancel(errWanted)
	}
	l.mu.Unlock()
	return ctx, func() {
		l.mu.Lock()
		s.yield = nil
		l.mu.Unlock()
		cancel(nil)
	}
}

// borrow takes the lock if it is free, until somebody else wants it or the time
// is over.
func (l *locks) borrow(ctx context.Context, name string, longest time.Duration) (_ context.Context, unlock func(), ok bool) {
	s := l.slot(name)
	select {
	case s.taken <- struct{}{}:
	default:
		return nil, nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	ctx, done := l.yielding(ctx, name)
	return ctx, func() { done(); cancel(); <-s.taken }, true
}

// brokenOff says whether what was done under ctx had to stop before its time was
// over: then that it failed is no trouble, and it is done later.
func brokenOff(ctx context.Context) bool {
	return ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded)
}
