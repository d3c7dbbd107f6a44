package clock

import (
	"sync"
	"time"
)

// Simulated is a clock that does not run until it is moved. Timers fire in the
// order of their times, on the goroutine that moves the clock.
type Simulated struct {
	mu     sync.Mutex
	now    time.Time
	passed time.Duration
	timers []*simTimer // running, in no order
}

var _ Clock = (*Simulated)(nil)

// NewSimulated is a clock that shows start.
func NewSimulated(start time.Time) *Simulated { return &Simulated{now: start} }

// Now implements Clock.
func (s *Simulated) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Elapsed implements Clock.
func (s *Simulated) Elapsed() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.passed
}

// NewTimer implements Clock.
func (s *Simulated) NewTimer(d time.Duration) Timer {
	t := &simTimer{clock: s, c: make(chan time.Time, 1)}
	t.Reset(d)
	return t
}

// Advance moves the clock by d and fires what is due meanwhile, each timer at
// its own time.
func (s *Simulated) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := s.now.Add(d)
	s.passed += d
	for {
		i := s.first()
		if i < 0 || s.timers[i].at.After(end) {
			break
		}
		t := s.timers[i]
		s.timers = append(s.timers[:i], s.timers[i+1:]...)
		s.now = t.at
		t.c <- t.at // empty: a timer that runs has been drained by Reset
	}
	s.now = end
}

// Step sets the time of day by d without time passing: no timer fires, and
// those that run take as long as before.
func (s *Simulated) Step(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
	for _, t := range s.timers {
		t.at = t.at.Add(d)
	}
}

// Timers is how many timers run: a test waits for the code under test to wait.
func (s *Simulated) Timers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.timers)
}

// first is the index of the timer that is due next, -1 for none. Of two that are
// due at one time the older is first.
func (s *Simulated) first() int {
	best := -1
	for i, t := range s.timers {
		if best < 0 || t.at.Before(s.timers[best].at) {
			best = i
		}
	}
	return best
}

type simTimer struct {
	clock *Simulated
	c     chan time.Time
	at    time.Time
}

func (t *simTimer) C() <-chan time.Time { return t.c }

func (t *simTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.stop()
}

func (t *simTimer) stop() bool {
	select {
	case <-t.c:
	default:
	}
	for i, x := range t.clock.timers {
		if x == t {
			t.clock.timers = append(t.clock.timers[:i], t.clock.timers[i+1:]...)
			return true
		}
	}
	return false
}

func (t *simTimer) Reset(d time.Duration) bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	ran := t.stop()
	t.at = t.clock.now.Add(d)
	if d <= 0 {
		t.c <- t.clock.now
		return ran
	}
	t.clock.timers = append(t.clock.timers, t)
	return ran
}
