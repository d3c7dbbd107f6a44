package clock

import (
	"cmp"
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Backoff is how long to pause between tries: Min at first, Factor times as long after
// each try, at most Max. It is for one goroutine. The zero value of Clock is the
// machine's, that of Factor is 2.
type Backoff struct {
	Clock    Clock
	Min, Max time.Duration
	Factor   float64

	pauses *backoff.ExponentialBackOff
}

// Next is the next pause.
func (b *Backoff) Next() time.Duration {
	if b.pauses == nil {
		b.pauses = backoff.NewExponentialBackOff()
		b.pauses.InitialInterval, b.pauses.MaxInterval = b.Min, b.Max
		b.pauses.Multiplier, b.pauses.RandomizationFactor = cmp.Or(b.Factor, 2), 0
		b.pauses.Reset()
	}
	return b.pauses.NextBackOff()
}

// Wait pauses before the next try. An error is ctx's.
func (b *Backoff) Wait(ctx context.Context) error {
	c := b.Clock
	if c == nil {
		c = System
	}
	return Sleep(ctx, c, b.Next())
}

// Reset begins with Min again, after a success.
func (b *Backoff) Reset() { b.pauses = nil }
