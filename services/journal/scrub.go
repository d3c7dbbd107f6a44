package journal

import (
	"context"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/engine/vault"
)

// scrubber reads a group's replica from time to time, and compares it with its
// checksums, so that damage is found before somebody needs the block. What it finds
// is reported as any damage is.
type scrubber struct {
	cfg   Config
	deps  Deps
	vault *vault.Group
	// turn is held by the one group that is being read, of all the service's.
	turn chan struct{}

	mu   sync.Mutex
	last time.Time // when the last one was complete; zero: none since the start
}

// run scrubs every ScrubEvery until ctx ends, the first time soon after the start.
func (s *scrubber) run(ctx context.Context) {
	wait := min(s.cfg.ScrubEvery, 10*time.Minute)
	for clock.Sleep(ctx, s.deps.Clock, wait) == nil {
		select {
		case s.turn <- struct{}{}:
		case <-ctx.Done():
			return
		}
		_, err := s.vault.Scrub(ctx, func(n int) error {
			return clock.Sleep(ctx, s.deps.Clock, time.Duration(float64(n)/float64(s.cfg.ScrubRate)*float64(time.Second)))
		})
		<-s.turn
		if wait = s.cfg.ScrubEvery; err != nil && !cdp.Is(err, cdp.Corrupt) {
			wait = min(wait, time.Minute)
			continue
		}
		s.mu.Lock()
		s.last = s.deps.Clock.Now()
		s.mu.Unlock()
	}
}

// complete is when the last scrub was complete.
func (s *scrubber) complete() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}
