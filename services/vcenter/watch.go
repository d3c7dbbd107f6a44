package vcenter

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
)

// watcher watches the vCenter for changes.
type watcher struct {
	connector *connector
	cache     *inventoryCache
	changed   func() // is called after a change, with the cache invalidated
	report    *reporter
	clock     clock.Clock
	beat      time.Duration
}

// run watches until ctx ends. It raises one alarm when the vCenter is lost, and one
// when it is back.
func (w *watcher) run(ctx context.Context) {
	var lost []string // the alarms that were raised
	back := func() {
		for _, kind := range lost {
			w.report.alarm(ctx, kind, "vCenter", "the site's own vCenter answers again")
		}
		lost = nil
	}
	for {
		err := w.watch(ctx, back)
		if ctx.Err() != nil {
			return
		}
		w.cache.invalidate()
		kind := event.AlarmSessionLost
		if isOtherVCenter(err) {
			kind = event.AlarmOtherVCenter
		}
		if err != nil && !slices.Contains(lost, kind) && !cdp.Is(err, cdp.NotFound) {
			lost = append(lost, kind)
			w.report.notify(cdp.Wrap(err, "watch vCenter", ""))
			w.report.alarm(ctx, kind, "vCenter", err.Error())
		}
		if clock.Sleep(ctx, w.clock, w.beat) != nil {
			return
		}
	}
}

// watch watches one connection until it is lost, or is no longer the site's: an old
// session may live on although the site's password was changed.
func (w *watcher) watch(ctx context.Context, back func()) error {
	vc, err := w.connector.connect(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		for clock.Sleep(ctx, w.clock, w.beat) == nil {
			if now, err := w.connector.connect(ctx); err != nil || now.vc != vc.vc {
				cancel()
				return
			}
		}
	})
	err = vc.Watch(ctx, func() {
		back()
		w.cache.invalidate()
		w.changed()
	})
	if errors.Is(err, context.Canceled) {
		return nil // the next connection says what is wrong
	}
	return err
}
