package main

import (
	"context"
	"fmt"
	"time"

	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/core/health"
)

// upgrade replaces every container by a new one, one after the other, while a client
// writes, as an upgrade does. The client does what a machine's disk does: it reconnects,
// and repeats what was not answered.
func (c *containers) upgrade(ctx context.Context) error {
	c.step(3, "Every container is replaced by a new one, as in an upgrade, while a client writes")
	start := time.Now()
	replaced := make(chan error, 1)
	go func() { replaced <- c.replaceAll(ctx) }()
	slowest := time.Duration(0)
	for {
		select {
		case err := <-replaced:
			if err != nil {
				return err
			}
			c.say("%d writes meanwhile; the slowest, which waited for a new capture, took %s", len(c.rec.writes), slowest.Round(time.Millisecond))
			if err := c.mark(ctx, "upgraded"); err != nil {
				return err
			}
			return c.noResync(ctx, start)
		case <-time.After(20 * time.Millisecond):
		}
		w, p := c.rec.next(c.rng)
		began := time.Now()
		if err := c.persist(ctx, w, p); err != nil {
			return err
		}
		slowest = max(slowest, time.Since(began))
	}
}

func (c *containers) replaceAll(ctx context.Context) error {
	services, err := c.stack.running(ctx)
	if err != nil {
		return err
	}
	for _, s := range services {
		if err := c.stack.compose(ctx, "up", "-d", "--no-deps", "--force-recreate", s); err != nil {
			return err
		}
	}
	return nil
}

// persist writes until it is answered.
func (c *containers) persist(ctx context.Context, w written, p []byte) error {
	var last error
	return until(ctx, "a write to be answered", func() bool {
		if _, last = c.nbd[w.disk].WriteAt(p, w.off); last == nil {
			return true
		}
		for i, n := range names {
			c.nbd[i].Abort()
			if x, err := nbd.Dial(ctx, "unix", c.sock, n); err == nil {
				c.nbd[i] = x
			}
		}
		return false
	})
}

// noResync fails if a part of the disks was copied again since then.
func (c *containers) noResync(ctx context.Context, since time.Time) error {
	gs, err := ask[[]health.Group](ctx, c.tm, "status", "shop")
	if err != nil {
		return err
	}
	if len(gs) != 1 || gs[0].Capture == nil {
		return fmt.Errorf("capture does not answer: %+v", gs)
	}
	g := gs[0]
	if g.Capture.Since.After(since) {
		return fmt.Errorf("%d bytes were copied again from %s on; the upgrade began at %s", g.Capture.Total, g.Capture.Since, since)
	}
	c.say("Nothing was copied again.")
	return nil
}
