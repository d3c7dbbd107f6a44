package journal

import (
	"context"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/wake"
)

// intake takes frames from the group's stream into its journal.
type intake struct {
	cfg     Config
	deps    Deps
	id      cdp.GroupID
	vault   *vault.Group
	source  spool.Source
	quota   *quota
	state   *shownState
	clock   *sourceClock
	news    wake.Bell // to announceAgain: a frame was stored, or the link is back
	stored  wake.Bell // to the housekeeper: a frame was stored
	times   *times
	lock    *lock
	expects *expected
	signed  *signatures
	job     *job
	replica *images

	mu     sync.Mutex
	cancel context.CancelFunc // ends the running pipeline; another begins
	newest newestFrame
	// alarmed is when full last raised the alarm, by Clock.Elapsed.
	alarmed time.Duration
}

// newestFrame is what is shown of the newest durable frame.
type newestFrame struct {
	received time.Time // when it became durable; zero after a start
	sealed   time.Time // in source time
	complete bool      // history is complete at its end
}

// run takes frames in until ctx ends. After each failure it reports the cause and
// starts again after the newest stored frame.
func (x *intake) run(ctx context.Context) {
	again := clock.Backoff{Clock: x.deps.Clock, Min: 2 * x.cfg.Beat, Max: 20 * x.cfg.Beat}
	x.mu.Lock()
	x.alarmed = x.deps.Clock.Elapsed() - time.Minute
	x.mu.Unlock()
	for ctx.Err() == nil {
		if err := x.recover(ctx); err != nil {
			if cdp.Is(err, cdp.Full) {
				x.full(ctx, err)
			} else {
				x.state.set(ctx, event.JournalFailed, err.Error())
			}
			again.Wait(ctx)
			continue
		}
		if st := x.vault.State(); st.Halted || st.Sealed {
			state := event.JournalHalted
			if st.Sealed {
				state = event.JournalSealed
			}
			x.state.set(ctx, state, "the group has been failed over")
			clock.Sleep(ctx, x.deps.Clock, x.cfg.Beat)
			continue
		}
		if x.lock.deleted() {
			x.state.set(ctx, event.JournalKept, keptReason)
			clock.Sleep(ctx, x.deps.Clock, x.cfg.Beat)
			continue
		}
		if err := x.room(); err != nil {
			x.full(ctx, err)
			clock.Sleep(ctx, x.deps.Clock, 2*x.cfg.Beat)
			continue
		}
		x.resumed(ctx)
		ictx, cancel := context.WithCancel(ctx)
		x.mu.Lock()
		x.cancel = cancel
		x.mu.Unlock()
		err := x.takeIn(ictx)
		stopped := ictx.Err() != nil
		cancel()
		if ctx.Err() != nil || stopped && err == nil || x.vault.State().Halted {
			continue
		}
		switch {
		case err == nil:
		case cdp.Is(err, cdp.Full):
			x.full(ctx, err)
			clock.Sleep(ctx, x.deps.Clock, 2*x.cfg.Beat)
		default:
			x.announceRefusal(err)
			x.state.set(ctx, event.JournalFailed, err.Error())
			x.deps.Facts.Alarm(ctx, x.id, AlarmIntake, err.Error())
			clock.Sleep(ctx, x.deps.Clock, 2*x.cfg.Beat)
		}
		if x.vault.Broken() == nil {
			again.Reset()
		}
	}
}

// recover makes a journal work again whose store failed. No pipeline is running.
func (x *intake) recover(ctx context.Context) error {
	if x.vault.Broken() == nil {
		return nil
	}
	return x.vault.Recover(ctx)
}

// full says that nothing is stored for want of room.
func (x *intake) full(ctx context.Context, err error) {
	x.state.set(ctx, event.JournalFull, err.Error())
	x.mu.Lock()
	now := x.deps.Clock.Elapsed()
	again := now-x.alarmed >= time.Minute
	if again {
		x.alarmed = now
	}
	x.mu.Unlock()
	if again {
		x.deps.Facts.Alarm(ctx, x.id, AlarmFull, "the journal stores nothing more until there is room; the source keeps its frames until then: "+err.Error())
	}
}

// keptReason is why a journal without a job is still there.
const keptReason = "the job was deleted, and the retention lock keeps its recovery points: apply the job again to use them"

// resumed reports that a failover was undone, or a deleted job applied again; nothing
// else is known until the source is heard.
func (x *intake) resumed(ctx context.Context) {
	switch was, _ := x.state.get(); was {
	case event.JournalHalted:
		x.state.set(ctx, event.JournalWaiting, "the failover was undone; the source is asked to go on")
	case event.JournalKept:
		x.state.set(ctx, event.JournalWaiting, "the job was applied again; the source is asked to go on")
	}
}

// restart ends the running pipeline; another begins.
func (x *intake) restart() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cancel != nil {
		x.cancel()
	}
}

// room is nil as long as the journal is below its size limit and the reserve of free
// space is there.
func (x *intake) room() error {
	if err := x.deps.Stores.Full(x.id); err != nil {
		return err
	}
	if err := x.quota.room(); err != nil {
		return err
	}
	return x.quota.disk.room()
}

func (x *intake) newestFrame() newestFrame {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.newest
}

func (x *intake) noteNewest(h frame.Header) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.newest = newestFrame{received: x.deps.Clock.Now(), sealed: h.Time(), complete: h.Has(frame.Consistent)}
}

// readNewest fills in, after a start, what noteNewest knew.
func (x *intake) readNewest() {
	h, ok, err := x.vault.Newest()
	if err != nil || !ok {
		return
	}
	x.newest = newestFrame{sealed: h.Time(), complete: h.Has(frame.Consistent)}
}
