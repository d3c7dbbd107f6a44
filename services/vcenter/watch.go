package vcenter

import (
	"context"
	"errors"
	"slices"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// watchVCenter notes changes at the vCenter, and tells once when it is lost, and
// when it is back.
func (s *Service) watchVCenter(ctx context.Context) {
	var lost []string // the alarms that were told
	back := func() {
		for _, kind := range lost {
			s.alarm(ctx, kind, "vCenter", "the site's own vCenter answers again")
		}
		lost = nil
	}
	for {
		err := s.watch(ctx, back)
		if ctx.Err() != nil {
			return
		}
		s.seen.changed()
		kind := event.AlarmSessionLost
		if isOther(err) {
			kind = event.AlarmOtherVCenter
		}
		if err != nil && !slices.Contains(lost, kind) && !cdp.Is(err, cdp.NotFound) {
			lost = append(lost, kind)
			s.deps.Notify(cdp.Wrap(err, "watch vCenter", ""))
			s.alarm(ctx, kind, "vCenter", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-s.deps.Clock.After(s.cfg.Beat):
		}
	}
}

// watch watches one connection, until it is lost or is not the site's any more:
// the old one may well live on with a password that is refused by now.
func (s *Service) watch(ctx context.Context, back func()) error {
	vc, err := s.vcenter(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.deps.Clock.After(s.cfg.Beat):
			}
			if now, err := s.vcenter(ctx); err != nil || now.(noting).VCenter != vc.(noting).VCenter {
				cancel()
				return
			}
		}
	})
	err = vc.Watch(ctx, func() {
		back()
		s.seen.changed()
		s.kickAll()
	})
	if errors.Is(err, context.Canceled) {
		return nil // the next one is asked for, and says what is wrong
	}
	return err
}
