package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
)

// pendingFor is how long a command waits for an earlier one like it, of an operator
// or of the cadence, to be settled.
const pendingFor = 10 * time.Second

// send sends a command to a site and gives the command's id. While one like it is
// pending it waits a little.
func (c *Client) send(ctx context.Context, site cdp.Site, p event.Payload) (id string, err error) {
	id = bus.NewID()
	return id, c.sendAs(ctx, id, site, p)
}

// sendAs is send under an id.
func (c *Client) sendAs(ctx context.Context, id string, site cdp.Site, p event.Payload) error {
	over := c.clock.Now().Add(pendingFor)
	for {
		err := c.conn.CommandAs(ctx, id, site, p)
		if !bus.IsPending(err) || !c.clock.Now().Before(over) || clock.Sleep(ctx, c.clock, pollEvery) != nil {
			return err
		}
	}
}

// await waits until done says so, a service refuses the command id, or ctx ends.
// An empty id is not refused. about is the job or group of the command.
func (c *Client) await(ctx context.Context, site cdp.Site, id, about string, done func(context.Context) (bool, error)) error {
	wctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	refused := make(chan error, 1)
	if id != "" {
		watching.Go(func() { refused <- c.refusal(telemetry.Silent(wctx), site, id, about) })
	}
	for look := telemetry.Silent(ctx); ; {
		ok, err := done(look)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if ok {
			return nil
		}
		t := c.clock.NewTimer(pollEvery)
		select {
		case err = <-refused:
		case <-t.C():
		case <-ctx.Done():
		}
		t.Stop()
		switch {
		case errors.Is(ctx.Err(), context.Canceled):
			return ctx.Err()
		case ctx.Err() != nil:
			return cdp.Errorf(cdp.Transient, "wait", "", "not done within the --timeout").
				WithHint("it goes on by itself if the service is running; see: tidemark status")
		case err != nil:
			return err
		}
	}
}

// refusal waits until a service refuses the command id, and gives the reason.
func (c *Client) refusal(ctx context.Context, site cdp.Site, id, about string) error {
	f := bus.EventFilter{Site: site, Area: "command", Fact: "refused", ID: about}
	return c.conn.WatchEvents(ctx, f, func(_ context.Context, e bus.SeenEvent) error {
		var r event.CommandRefused
		if e.Into(&r) != nil || r.ID != id {
			return nil
		}
		return &cdp.Error{Op: "refused", Kind: r.Kind, Cause: errors.New(r.Reason), Hint: r.Hint}
	})
}

// do sends a command and waits until done says so, or a service refuses it. With a
// nil done it only sends.
func (c *Client) do(ctx context.Context, site cdp.Site, p event.Payload, done func(context.Context) (bool, error)) error {
	id, err := c.send(ctx, site, p)
	if err != nil || done == nil {
		return err
	}
	return c.await(ctx, site, id, p.About(), done)
}
