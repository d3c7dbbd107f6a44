package vcenter

import (
	"context"
	"errors"
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
)

// lanes run work that outlives the request that began it. A lane does one piece of
// work at a time, so that work on one group never overlaps.
type lanes struct {
	base     context.Context
	clock    clock.Clock
	patience time.Duration
	longest  time.Duration
	wg       sync.WaitGroup

	seed maphash.Seed

	mu sync.Mutex
	at map[string]*work
	// cutOff is each lane's last work that was cut off, for those who ask for it.
	cutOff map[string]*work
	// waits is each lane's first request that found it busy, by which the work that it
	// asked for is traced: the later ones are polls, outside of any trace.
	waits map[string]waiting
}

// waiting is a request for work that could not begin yet.
type waiting struct {
	id  string
	ctx context.Context // of the request, and without its end
}

func newLanes(base context.Context, c clock.Clock, patience, longest time.Duration) *lanes {
	return &lanes{base: base, clock: c, patience: patience, longest: longest, seed: maphash.MakeSeed(), at: map[string]*work{}, cutOff: map[string]*work{}, waits: map[string]waiting{}}
}

// sign turns a request, which may contain secrets, into an id of work, which may
// be shown.
func (l *lanes) sign(request []byte) string {
	return strconv.FormatUint(maphash.Bytes(l.seed, request), 16)
}

// work is one piece of work that is running, or whose result nobody has fetched.
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

// keepFor is how long a result is kept. Who asks later begins the work again, which
// is harmless: all of it is idempotent.
const keepFor = time.Minute

// cutOffFor is how long a request for work that was cut off gets the reason. Who
// waits for the work asks again within a second; a later request begins it again.
const cutOffFor = 10 * time.Second

// progress reports how far work is.
type progress func(text string, moved, total int64)

// begin returns the lane's work with the id, and begins it unless it is running.
// If the lane is busy with other work, it returns that instead. The work has the values
// of ctx, so it is in the trace of the request that asked for it first, and not its end.
func (l *lanes) begin(ctx context.Context, lane, id string, fn func(context.Context, progress) (any, error)) (mine, other *work) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.cutOff[lane]; w != nil && w.id == id {
		if !w.over() || clock.Since(l.clock, w.ended) < cutOffFor {
			return w, nil
		}
		delete(l.cutOff, lane)
	}
	if w := l.at[lane]; w != nil {
		ended := w.over()
		switch {
		case w.id == id && (!ended || clock.Since(l.clock, w.ended) < keepFor):
			return w, nil
		case !ended:
			if l.waits[lane].id != id {
				l.waits[lane] = waiting{id, context.WithoutCancel(ctx)}
			}
			return nil, w
		}
	}
	asked := context.WithoutCancel(ctx)
	if first := l.waits[lane]; first.id == id {
		asked = first.ctx
	}
	delete(l.waits, lane)
	base, cancel := context.WithCancelCause(asked)
	released := context.AfterFunc(l.base, func() { cancel(context.Cause(l.base)) })
	w := &work{id: id, done: make(chan struct{}), cancel: cancel}
	l.at[lane] = w
	l.wg.Go(func() {
		defer close(w.done)
		defer cancel(nil)
		defer released()
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
		w.result, w.err, w.ended = result, err, l.clock.Now()
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

// cut ends a lane's running work, unless its id is keep. Requests for it get why,
// and do not begin it again.
func (l *lanes) cut(lane, keep string, why *cdp.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.at[lane]; w != nil && w.id != keep && !w.over() {
		w.cancel(why)
		l.cutOff[lane] = w
	}
}

// stop ends a lane's running work if idle says of its id that it only waits.
func (l *lanes) stop(lane string, idle func(id string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.at[lane]; w != nil && idle(w.id) {
		w.cancel(nil)
	}
}

// forget drops work whose result was fetched.
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

// inLane runs fn in a lane and waits for it for a short time. Unless the progress
// is Done or there is an error, the caller must ask for the same again.
func inLane[T any](ctx context.Context, l *lanes, lane, id string, fn func(context.Context, progress) (T, error)) (out T, p api.Progress, err error) {
	timeout := l.clock.NewTimer(l.patience)
	defer timeout.Stop()
	for {
		w, other := l.begin(ctx, lane, id, func(ctx context.Context, r progress) (any, error) { return fn(ctx, r) })
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
		case <-timeout.C():
		}
		wait.mu.Lock()
		p = wait.so
		wait.mu.Unlock()
		if w == nil {
			p = api.Progress{Text: "waits for other work to end: " + p.Text}
		}
		return out, p, nil
	}
}
