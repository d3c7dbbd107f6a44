package bus

import (
	"context"
	"errors"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/nats-io/nats.go/jetstream"

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
	next, newest := f.After+1, f.Newest
	for {
		cfg := jetstream.ConsumerConfig{
			FilterSubject: filter, AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
			OptStartSeq: next, MemoryStorage: true, InactiveThreshold: 30 * time.Second,
		}
		if newest {
			cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverNewPolicy, 0
		}
		cons, err := c.js.CreateOrUpdateConsumer(ctx, stream, cfg)
		if err == nil {
			if newest { // from here on a cut must not lose any
				next, newest = cons.CachedInfo().Delivered.Stream+1, false
			}
			err = c.watchFrom(ctx, cons, f.Site, &next, fn)
			_ = c.js.DeleteConsumer(context.WithoutCancel(ctx), stream, cons.CachedInfo().Name) // else it ends by itself
		}
		var user userError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &user):
			return user.cause
		case err != nil && !isLink(err) && !errors.Is(err, errAgain):
			return wrap(err, op, stream)
		}
		if err := clock.Sleep(ctx, clock.System, retryMax/2); err != nil {
			return err
		}
	}
}

func (c *Conn) watchFrom(ctx context.Context, cons jetstream.Consumer, site cdp.Site, next *uint64, fn func(context.Context, SeenEvent) error) error {
	it, err := cons.Messages(jetstream.PullMaxMessages(256), jetstream.PullExpiry(5*time.Second), jetstream.PullHeartbeat(time.Second))
	if err != nil {
		return err
	}
	defer it.Stop()
	for given := uint64(1); ; given++ {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return errAgain
		}
		md, err := m.Metadata()
		if err != nil || md.Sequence.Consumer != given {
			return errAgain // the client drops messages when it has too many at once
		}
		if md.Sequence.Stream < *next {
			continue
		}
		e, err := c.open(m.Subject(), m.Headers(), m.Data())
		if err != nil {
			c.notify(Notice{"event skipped", wrap(err, "read event", m.Subject())})
			*next = md.Sequence.Stream + 1
			continue
		}
		addr, _ := event.ParseSubject(m.Subject())
		ectx, span := c.tel.Process(ctx, telemetry.Message{Template: addr.Template(), ID: e.ID, Group: c.name}, m.Headers())
		err = fn(ectx, SeenEvent{Event: e, Sequence: md.Sequence.Stream, Site: site})
		span.End(err)
		if err != nil {
			return userError{err}
		}
		*next = md.Sequence.Stream + 1
	}
}
