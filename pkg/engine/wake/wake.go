// Package wake tells a goroutine that there is something to do.
//
// What it never does: it carries nothing. Who is woken looks for itself.
package wake

// Bell wakes one goroutine, which receives from it. Rings while nobody listens
// are heard once.
type Bell chan struct{}

// New makes a bell.
func New() Bell { return make(Bell, 1) }

// Ring wakes the listener, now or when it listens next. It never waits.
func (b Bell) Ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}
