package qmp

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Backlog is how many events are kept for callers that have not come yet; beyond
// it the oldest is dropped.
const Backlog = 4096

// Event is a message that QEMU sends by itself.
type Event struct {
	Name string
	Data json.RawMessage // an object, or nil
	At   time.Time       // the host's clock when it happened, in microseconds
}

// Decode unmarshals the event's data into out.
func (e Event) Decode(out any) error {
	if err := json.Unmarshal(e.Data, out); err != nil {
		return fmt.Errorf("qmp: event %s: %w", e.Name, err)
	}
	return nil
}

// Events takes all events that arrived and that nobody took before, oldest
// first.
func (c *Client) Events() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.events
	c.events = nil
	return taken
}

// WaitEvent takes the oldest event called name for which match returns true, and
// waits for one if there is none; other events stay. An empty name is any
// name, a nil match always true. match is called with the client locked: it
// must not call it.
//
// An event is taken once, by the first caller: two goroutines must not wait for
// the same events.
func (c *Client) WaitEvent(ctx context.Context, name string, match func(Event) bool) (Event, error) {
	for {
		e, changed, err := c.take(name, match)
		if changed == nil {
			return e, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("qmp: wait for event %s: %w", name, ctx.Err())
		}
	}
}

// take returns a matching event or an error, or else the channel to wait for.
func (c *Client) take(name string, match func(Event) bool) (Event, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.events {
		if (name == "" || e.Name == name) && (match == nil || match(e)) {
			c.events = append(c.events[:i:i], c.events[i+1:]...)
			return e, nil, nil
		}
	}
	if c.err != nil {
		return Event{}, nil, fmt.Errorf("qmp: wait for event %s: %w", name, c.err)
	}
	return Event{}, c.changed, nil
}

// queue keeps an event; c.mu is held.
func (c *Client) queue(e Event) {
	if len(c.events) >= Backlog {
		c.events = c.events[1:]
	}
	c.events = append(c.events, e)
	c.wake()
}

// wake lets every waiting caller look again; c.mu is held.
func (c *Client) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}
