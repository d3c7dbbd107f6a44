package clock

import (
	"context"
	"time"
)

// Clock is a source of time. All methods may be called by many goroutines.
type Clock interface {
	// Now is the time of day. It may step, forward or back, as clocks do.
	Now() time.Time
	// Elapsed is how much time has passed since some moment before the first call. It
	// never steps and never runs backwards.
	Elapsed() time.Duration
	// NewTimer sends the time once on the timer's channel, after at least d.
	NewTimer(d time.Duration) Timer
}

// Timer is one wait, as of time.Timer.
type Timer interface {
	// C is the channel on which the time comes. It has room for one.
	C() <-chan time.Time
	// Stop ends the wait; false if it was over already. Nothing stale is
	// received from C after Stop returned.
	Stop() bool
	// Reset begins the wait anew.
	Reset(d time.Duration) bool
}

// System is the machine's clock.
var System Clock = system{}

type system struct{}

var began = time.Now()

func (system) Now() time.Time                 { return time.Now() }
func (system) Elapsed() time.Duration         { return time.Since(began) }
func (system) NewTimer(d time.Duration) Timer { return systemTimer{time.NewTimer(d)} }

type systemTimer struct{ *time.Timer }

func (t systemTimer) C() <-chan time.Time { return t.Timer.C }

// Sleep waits for d, or until ctx ends; then it returns ctx's error.
func Sleep(ctx context.Context, c Clock, d time.Duration) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C():
		return nil
	}
}

// After is the channel of a timer that nobody stops. Use it where the wait is
// short or always ends.
func After(c Clock, d time.Duration) <-chan time.Time { return c.NewTimer(d).C() }

// Since is how long ago t was.
func Since(c Clock, t time.Time) time.Duration { return c.Now().Sub(t) }
