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
	marks  *marks
	quota  *quota
	points func(now time.Time) []cdp.Point // as of outlook.Points

	news  wake.Bell    // frames were stored
	files func() error // which files of exports and fills are damaged
	// restart makes the intake recover a journal that is broken.
	restart func()

	trouble said // the last that was reported
	damaged said
	// indexTried is the damage for which the index was read last.
	indexTried string

	// Of run: whether history was dropped since the last reclaim, and when that was.
	dropped   bool
	reclaimed time.Duration
	// The measurements of the disk that the last look decided by, and for which
	// history was given up last.
	round, paid int

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
	k.marks.keep(ctx)
	ended := false // history was ended; what that cost is reported once the journal is open again
	waits := clock.Backoff{Clock: k.deps.Clock, Min: k.cfg.Beat, Max: 10 * k.cfg.Beat}
	for k.pause(ctx, &waits) == nil {
		k.reportDamage(ctx)
		k.marks.keep(ctx)
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
			if err := k.weigh(ctx, &o); err != nil {
				k.troubled(ctx, err)
				continue
			}
		}
		in := decide(o)
		if in != (intent{}) {
			waits.Reset()
		}
		if err := k.deps.Stores.Full(k.job.id); err != nil { // a move would wait, and views with it
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
			why := "the journal is at its size limit"
			if in.Reason == diskFull {
				why = "the journals have nearly filled their disk"
			}
			k.deps.Facts.Alarm(ctx, k.job.id, AlarmCut, why+": points are dropped before they reach the history limit")
		}
	}
}

// weigh fills in what decides about horizon.
func (k *housekeeper) weigh(ctx context.Context, o *outlook) error {
	owes := k.quota.disk.owes()
	c, freed, err := k.claim(ctx, owes.bytes > 0)
	if err != nil {
		return err
	}
	o.Bytes, o.Limit = c.bytes(), c.limit
	// What was just freed is not in the measurement: the next one shows what it gave.
	if k.round = owes.round; k.round != k.paid && !freed {
		o.Owed = owes.part()
	}
	o.Bounds, o.Points, o.Known = k.vault.Bounds(), k.points(o.Now), true
	o.Lock = k.lock.at(o.Points)
	return nil
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

// claim is what the journal takes of its limit, or of a disk that is tight. The space
// that dropped history took is freed first: no more history is given up for it.
func (k *housekeeper) claim(ctx context.Context, tight bool) (c claim, freed bool, err error) {
	if k.quota.limit() == 0 && !tight {
		return claim{}, false, nil
	}
	c, err = k.quota.measure()
	now := k.deps.Clock.Elapsed()
	idle := c.OnDisk > c.Kept+c.Work && now-k.reclaimed >= 60*k.cfg.Beat // files that nothing needs
	if err != nil || !c.presses() && !tight || !k.dropped && !idle || k.deps.Stores.Full(k.job.id) != nil {
		return c, false, err
	}
	mctx, ok := k.mayMove(ctx)
	if !ok {
		return c, false, nil
	}
	k.reclaimed = now
	err = k.vault.Reclaim(mctx)
	if mctx.Err() != nil {
		return c, false, nil
	}
	if err != nil { // of a damaged table: it costs space, and history sooner
		k.troubled(ctx, err)
	}
	freed, k.dropped = k.dropped, false
	c, err = k.quota.measure()
	return c, freed, err
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

// moves are the moves of base and horizon, as vault.Group makes them.
type moves interface {
	Bounds() cdp.Bounds
	Raise(ctx context.Context, to cdp.Seq) error
	Merge(ctx context.Context, to cdp.Seq) error
	Retain(ctx context.Context, to cdp.Seq) error
}

// carryOut makes the moves of an intent.
func (k *housekeeper) carryOut(ctx context.Context, in intent) error {
	if in.Raise > 0 || in.Horizon > 0 {
		if err := k.deps.Memory.moves.Acquire(ctx, 1); err != nil {
			return err
		}
		defer k.deps.Memory.moves.Release(1)
	}
	moved, err := move(ctx, k.vault, in)
	if !moved {
		return err
	}
	k.dropped = true
	if in.Cut {
		k.paid = k.round
	}
	if in.Reason != seeding {
		k.deps.Facts.HorizonMoved(ctx, k.job.id, k.vault.Bounds(), in.Reason)
	}
	return err
}

// move makes the moves of an intent; moved: horizon is where it should be. A disk that is
// too full for base to follow still lets horizon move, which makes room.
func move(ctx context.Context, v moves, in intent) (moved bool, err error) {
	switch {
	case in.Merge:
		err = v.Merge(ctx, in.Raise)
	case in.Raise > 0:
		err = v.Raise(ctx, in.Raise)
	}
	if err != nil && !cdp.Is(err, cdp.Full) || in.Horizon == 0 || in.Horizon > v.Bounds().Base {
		return false, err
	}
	if e := v.Retain(ctx, in.Horizon); e != nil {
		return false, e
	}
	return true, err
}
