package bus

import (
	"context"
	"errors"
	"sync"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
)

// EventFilter says which events to watch.
type EventFilter struct {
	// Site whose events: the connection's own, or a peer's, which are read
	// from the local copy, so that a cut link delays but loses nothing.
	Site cdp.Site
	// Area, Fact and ID narrow it down; empty means any.
	Area, Fact, ID string
	// After is the stream sequence to resume after; 0 starts with the oldest
	// event kept. Newest, if set, starts with events emitted from now on.
	After  uint64
	Newest bool
	// CaughtUp, if set, is called once, when every event that was stored has been given.
	CaughtUp func()
}

// SeenEvent is an event with its place in its stream, for After.
type SeenEvent struct {
	event.Event
	Sequence uint64
	Site     cdp.Site
}

// WatchEvents calls fn for each event in the order of the site's stream, until
// ctx is done (the error is ctx's) or fn fails (fn's error). An invalid
// event is skipped and reported to Config.Notify.
func (c *Conn) WatchEvents(ctx context.Context, f EventFilter, fn func(context.Context, SeenEvent) error) error {
	const op = "watch events"
	stream := subjects.StreamEvents
	if f.Site != c.site {
		stream = subjects.PeerEvents(f.Site)
	}
	any := func(s string) string {
		if s == "" {
			return "*"
		}
		return s
	}
	filter := subjects.Root + "evt.v1." + string(f.Site) + "." + any(f.Area) + "." + any(f.Fact) + "." + any(f.ID)
	next := f.After + 1
	caughtUp := func() error { return nil }
	if f.CaughtUp != nil {
		once := sync.OnceFunc(f.CaughtUp)
		caughtUp = func() error { once(); return nil }
	}
	for newest := f.Newest; ; {
		var err error
		if newest { // from here on a cut must not lose any
			next, err = c.end(ctx, stream)
			newest = err != nil
		}
		if err == nil {
			err = c.follow(ctx, stream, filter, next, caughtUp, func(m stored) error {
				err := c.seen(ctx, f.Site, m, fn)
				if err == nil {
					next = m.seq + 1
				}
				return err
			})
		}
		var user userError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &user):
			return user.cause
		case !isLink(err):
			return wrap(err, op, stream)
		}
		if err := clock.Sleep(ctx, clock.System, retryMax/2); err != nil {
			return err
		}
	}
}

// end is the number of the message that a stream stores next.
func (c *Conn) end(ctx context.Context, stream string) (uint64, error) {
	s, err := c.js.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	return s.CachedInfo().State.LastSeq + 1, nil
}

// seen hands one event to fn, whose error it gives as a userError.
func (c *Conn) seen(ctx context.Context, site cdp.Site, m stored, fn func(context.Context, SeenEvent) error) error {
	e, err := c.open(m.subject, m.header, m.data)
	if err != nil {
		c.notify(Notice{What: "event skipped", Err: wrap(err, "read event", m.subject)})
		return nil
	}
	addr, _ := event.ParseSubject(m.subject)
	ectx, span := c.tel.Process(ctx, telemetry.Message{Subject: m.subject, Template: addr.Template(), ID: e.ID, Group: c.name, Data: e.Data}, m.header)
	err = fn(ectx, SeenEvent{Event: e, Sequence: m.seq, Site: site})
	span.End(err)
	if err != nil {
		return userError{err}
	}
	return nil
}
