package journal

import (
	"context"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/wake"
)

// housekeeper moves base and horizon as policy says, unless it is held.
type housekeeper struct {
	cfg    Config
	deps   Deps
	job    *job
	vault  *vault.Group
	lock   *lock
	quota  *quota
	points func(now time.Time) []cdp.Point // as of outlook.Points

	news  wake.Bell    // frames were stored
	files func() error // which files of exports and fills are damaged
	// restart makes the intake recover a journal that is broken.
	restart func()

	trouble said // the last that was reported
	damaged said

	// Of run: whether history was dropped since the last reclaim, and when that was.
	dropped   bool
	reclaimed time.Duration

	mu     sync.Mutex
	stuck  error              // why the last move failed; nil: it did not
	held   int                // nothing is moved while it is above 0
	cancel context.CancelFunc // ends the move that is being made
}

// run looks at what base and horizon should be, and moves them, one step of decide at a
// time, until ctx ends: every beat while frames come or something is to be moved, and
// then ever more seldom.
func (k *housekeeper) run(ctx context.Context) {
	k.dropped = true // before the start
	looked, cutAt := k.deps.Clock.Elapsed()-10*k.cfg.Beat, k.deps.Clock.Elapsed()-time.Minute
	k.reportLosses(ctx)
	ended := false // history was ended; what that cost is reported once the journal is open again
	waits := clock.Backoff{Clock: k.deps.Clock, Min: k.cfg.Beat, Max: 10 * k.cfg.Beat}
	for k.pause(ctx, &waits) == nil {
		k.reportDamage(ctx)
		if ended && k.vault.Broken() == nil {
			ended = false
			k.reportLosses(ctx)
		}
		if st := k.vault.State(); st.Halted || st.Sealed {
			continue
		}
		now, elapsed := k.deps.Clock.Now(), k.deps.Clock.Elapsed()
		o := outlook{Now: now, Bounds: k.vault.Bounds()}
		spec := k.job.now()
		o.Mode, o.History, o.MergeEvery = spec.Mode, spec.History, spec.MergeEvery
		// Horizon is in no hurry, and its facts cost a little to collect.
		if elapsed-looked >= 10*k.cfg.Beat || k.quota.last().presses() {
			looked = elapsed
			c, err := k.claim(ctx)
			if err != nil {
				k.troubled(ctx, err)
				continue
			}
			o.Bytes, o.Limit = c.bytes(), c.limit
			o.Bounds, o.Points, o.Known = k.vault.Bounds(), k.points(now), true
			o.Lock = k.lock.at(o.Points)
		}
		in := decide(o)
		if in != (intent{}) {
			waits.Reset()
		}
		if err := k.deps.Stores.Full(k.job.id); err != nil { // it would wait, and views with it
			k.setStuck(err)
			continue
		}
		mctx, ok := k.mayMove(ctx)
		if !ok {
			continue
		}
		if err := k.carryOut(mctx, in); err != nil {
			if mctx.Err() != nil || cdp.Is(err, cdp.Conflict) { // an open view holds horizon: later
				continue
			}
			if cdp.Is(err, cdp.Corrupt) && k.endBeforeDamage() {
				ended = true
				continue
			}
			k.setStuck(err)
			k.troubled(ctx, err)
			continue
		}
		k.setStuck(nil)
		if in.Cut && elapsed-cutAt >= time.Minute {
			cutAt = elapsed
			k.deps.Facts.Alarm(ctx, k.job.id, AlarmCut, "the journal is at its size limit: points are dropped before they reach the history limit")
		}
	}
}

// pause waits for the next look.
func (k *housekeeper) pause(ctx context.Context, waits *clock.Backoff) error {
	wait := waits.Next()
	over := k.deps.Clock.NewTimer(wait)
	defer over.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over.C():
			return nil
		case <-k.news:
			if waits.Reset(); wait > k.cfg.Beat {
				wait = k.cfg.Beat
				over.Reset(wait)
			}
		}
	}
}

// claim is what the journal takes of its limit, with the space freed that history took
// which was dropped before: no more history is given up for it.
func (k *housekeeper) claim(ctx context.Context) (claim, error) {
	if k.quota.limit() == 0 {
		return claim{}, nil
	}
	c, err := k.quota.measure()
	now := k.deps.Clock.Elapsed()
	idle := c.OnDisk > c.Kept+c.Work && now-k.reclaimed >= 60*k.cfg.Beat // files that nothing needs
	if err != nil || !c.presses() || !k.dropped && !idle || k.deps.Stores.Full(k.job.id) != nil {
		return c, err
	}
	mctx, ok := k.mayMove(ctx)
	if !ok {
		return c, nil
	}
	k.reclaimed = now
	err = k.vault.Reclaim(mctx)
	if mctx.Err() != nil {
		return c, nil
	}
	if err != nil { // of a damaged table: it costs space, and history sooner
		k.troubled(ctx, err)
	}
	k.dropped = false
	return k.quota.measure()
}

// mayMove is the context for one move; false while moves are held, and in a journal
// that was halted since the move was decided: its base is a failover's.
func (k *housekeeper) mayMove(ctx context.Context) (context.Context, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if st := k.vault.State(); k.held > 0 || st.Halted || st.Sealed {
		return nil, false
	}
	if k.cancel != nil {
		k.cancel() // the move before has ended; so does its context
	}
	ctx, k.cancel = context.WithCancel(ctx)
	return ctx, true
}

// hold ends the move at its next step, and prevents another until release: a
// failover must not wait for housekeeping.
func (k *housekeeper) hold() (release func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held++
	if k.cancel != nil {
		k.cancel()
	}
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.held--
	}
}

func (k *housekeeper) setStuck(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stuck = err
}

// stuckBy is why base and horizon do not move, with what to do; nil: they do.
func (k *housekeeper) stuckBy() *api.Trouble {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stuck == nil {
		return nil
	}
	return &api.Trouble{Text: k.stuck.Error(), Hint: cdp.HintOf(k.stuck)}
}

func (k *housekeeper) troubled(ctx context.Context, err error) {
	if ctx.Err() == nil && k.trouble.news(err, k.deps.Clock) {
		k.deps.Facts.Alarm(ctx, k.job.id, AlarmJournal, err.Error())
	}
}

func (k *housekeeper) carryOut(ctx context.Context, in intent) error {
	if in.Raise > 0 || in.Horizon > 0 {
		if err := k.deps.Memory.moves.Acquire(ctx, 1); err != nil {
			return err
		}
		defer k.deps.Memory.moves.Release(1)
	}
	if in.Raise > 0 {
		if in.Merge {
			if err := k.vault.Merge(ctx, in.Raise); err != nil {
				return err
			}
		} else if err := k.vault.Raise(ctx, in.Raise); err != nil {
			return err
		}
	}
	if in.Horizon > 0 {
		if err := k.vault.Retain(ctx, in.Horizon); err != nil {
			return err
		}
		k.dropped = true
		if in.Reason == seeding {
			return nil
		}
		k.deps.Facts.HorizonMoved(ctx, k.job.id, k.vault.Bounds(), in.Reason)
	}
	return nil
}
