package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// EventFilter narrows events down; empty fields mean any.
type EventFilter struct{ Area, Fact, ID string }

// SeenEvent is an event and the site that it is from.
type SeenEvent struct {
	event.Event
	Site cdp.Site
}

// Events gives the events since a time that are stored here, in the order of their
// times: of this site, and of those that it is linked with as far as they have arrived.
// With follow it goes on with what happens, in the order in which it arrives, until ctx
// ends, which is no error. fn is called from one goroutine; its error ends it.
func (c *Client) Events(ctx context.Context, f EventFilter, since time.Time, follow bool, fn func(SeenEvent) error) error {
	ctx, cancel := context.WithCancel(ctx)
	sites := append([]cdp.Site{c.site}, c.peers...)
	seen, caughtUp, errs := make(chan SeenEvent), make(chan struct{}, len(sites)), make(chan error, len(sites))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, site := range sites {
		filter := bus.EventFilter{Site: site, Area: f.Area, Fact: f.Fact, ID: f.ID, CaughtUp: func() { caughtUp <- struct{}{} }}
		wg.Go(func() {
			errs <- c.conn.WatchEvents(ctx, filter, func(_ context.Context, e bus.SeenEvent) error {
				select {
				case seen <- SeenEvent{e.Event, e.Site}:
				case <-ctx.Done():
				}
				return nil
			})
		})
	}
	var stored []SeenEvent
	live := false
	for left := len(sites); ; {
		select {
		case e := <-seen:
			if e.Time.Before(since) {
				continue
			}
			if !live {
				stored = append(stored, e)
			} else if err := fn(e); err != nil {
				return err
			}
		case err := <-errs:
			if ctx.Err() != nil || errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		case <-caughtUp:
			if left--; left > 0 {
				continue
			}
			slices.SortStableFunc(stored, func(a, b SeenEvent) int { return a.Time.Compare(b.Time) })
			for _, e := range stored {
				if err := fn(e); err != nil {
					return err
				}
			}
			if !follow {
				return nil
			}
			live, stored = true, nil
		case <-ctx.Done():
			return nil
		}
	}
}
