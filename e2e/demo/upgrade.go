package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/contract/event"
)

// upgrade replaces every container by a new one, one after the other, while a client
// writes, as an upgrade does. The client does what a machine's disk does: it reconnects,
// and repeats what was not answered.
func (c *containers) upgrade(ctx context.Context) error {
	c.step(3, "Every container is replaced by a new one, as in an upgrade, while a client writes")
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
			return c.noResync(ctx)
		case <-time.After(10 * time.Millisecond):
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

// noResync fails if a part of the disks had to be copied again.
func (c *containers) noResync(ctx context.Context) error {
	out, err := c.tm.quiet(ctx, "events", "capture.state-changed.shop", "-o", "json")
	if err != nil {
		return err
	}
	again := []event.CaptureState{event.Overflow, event.Resyncing, event.NeedsResync}
	var states []string
	for line := range strings.Lines(string(out)) {
		var e struct {
			Data event.CaptureStateChanged `json:"data"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return fmt.Errorf("%w: %s", err, line)
		}
		states = append(states, string(e.Data.State))
		if slices.Contains(again, e.Data.State) {
			return fmt.Errorf("blocks were copied again: capture was %s: %s", strings.Join(states, ", "), e.Data.Reason)
		}
	}
	c.say("Nothing was copied again: capture was %s.", strings.Join(states, ", "))
	return nil
}
