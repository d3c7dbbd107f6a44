package guesttest

import (
	"sort"
	"sync"
	"time"

	"tidemark.dev/e2e/guest"
)

// Acks is a record of when rows were acknowledged. A row is noted when its
// acknowledgement was seen, which is later than when it was committed: what
// Before tells was committed before.
type Acks struct {
	mu   sync.Mutex
	seen []seen
	stop chan struct{}
	done chan struct{}
}

type seen struct {
	at  time.Time
	row int64
}

// WatchAcks notes the acknowledgements of a guest until End.
func WatchAcks(vm *guest.VM) *Acks {
	a := &Acks{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(a.done)
		for {
			row := vm.LastAck() // before the time: the time is never too early
			a.note(time.Now(), row)
			select {
			case <-a.stop:
				a.note(time.Now(), vm.LastAck())
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return a
}

func (a *Acks) note(at time.Time, row int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.seen); row > 0 && (n == 0 || a.seen[n-1].row < row) {
		a.seen = append(a.seen, seen{at, row})
	}
}

// End stops watching. It may be called again.
func (a *Acks) End() {
	select {
	case <-a.done:
		return
	default:
	}
	close(a.stop)
	<-a.done
}

// Before returns the newest row that was acknowledged for certain before t; 0 if
// none was.
func (a *Acks) Before(t time.Time) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := sort.Search(len(a.seen), func(i int) bool { return a.seen[i].at.After(t) })
	if i == 0 {
		return 0
	}
	return a.seen[i-1].row
}

// Last is the newest row that was acknowledged at all.
func (a *Acks) Last() int64 { return a.Before(time.Now()) }
