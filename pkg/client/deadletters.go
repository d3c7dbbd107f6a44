package client

import (
	"context"
	"fmt"
	"slices"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
)

// DeadLetter is a message that a service of this site refused for good.
type DeadLetter = bus.DeadLetter

// DeadLetters are those of this site, the oldest first.
func (c *Client) DeadLetters(ctx context.Context) ([]DeadLetter, error) {
	return c.conn.DeadLetters(ctx)
}

// DeadLetter is one of them; NotFound.
func (c *Client) DeadLetter(ctx context.Context, number uint64) (DeadLetter, error) {
	all, err := c.DeadLetters(ctx)
	if err != nil {
		return DeadLetter{}, err
	}
	i := slices.IndexFunc(all, func(d DeadLetter) bool { return d.Number == number })
	if i < 0 {
		return DeadLetter{}, cdp.Errorf(cdp.NotFound, "find dead letter", fmt.Sprint(number), "site %s keeps no dead letter of this number", c.site).
			WithHint("see: tidemark deadletter list")
	}
	return all[i], nil
}

// RetryDeadLetter sends a dead letter again as a new command, and returns once it is
// stored. The dead letter stays.
func (c *Client) RetryDeadLetter(ctx context.Context, number uint64) error {
	d, err := c.DeadLetter(ctx, number)
	if err == nil {
		_, err = c.conn.Resend(ctx, d)
	}
	return err
}

// DropDeadLetter removes a dead letter for good; NotFound.
func (c *Client) DropDeadLetter(ctx context.Context, number uint64) error {
	if _, err := c.DeadLetter(ctx, number); err != nil {
		return err
	}
	return c.conn.DropDeadLetter(ctx, number)
}
