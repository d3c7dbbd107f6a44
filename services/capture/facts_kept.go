package capture

import (
	"context"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/engine/wake"
)

// maxKeptFacts is how many facts are kept for a bus that does not answer. Of more, the
// oldest are lost.
const maxKeptFacts = 1000

// keptFacts are changes of state and alarms that could not be published, in order. Who
// follows a group by its events, such as a plan's trigger, would go on from a state that
// is over: so they are published when the bus answers. A restart of the service forgets
// them; its groups then begin anew.
type keptFacts struct {
	bell wake.Bell

	mu sync.Mutex
	of []event.Payload
}

// tell publishes a fact, now or when the bus answers.
func (s *Service) tell(p event.Payload) {
	k := &s.kept
	k.mu.Lock()
	first := len(k.of) == 0
	k.mu.Unlock()
	if first && s.emit(p) == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.of) == maxKeptFacts {
		k.of = append(k.of[:1], k.of[2:]...) // the first is on its way
	}
	k.of = append(k.of, p)
	k.bell.Ring()
}

// next is the oldest fact that is kept.
func (k *keptFacts) next() (event.Payload, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.of) == 0 {
		return nil, false
	}
	return k.of[0], true
}

func (k *keptFacts) done() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.of = k.of[1:]
}

// publishKept publishes what is kept until ctx ends. What can never be published is
// dropped.
func (s *Service) publishKept(ctx context.Context) error {
	pauses := clock.Backoff{Clock: s.deps.Clock, Min: s.cfg.RetryMin, Max: s.cfg.RetryMax}
	for {
		p, ok := s.kept.next()
		if !ok {
			pauses.Reset()
			select {
			case <-ctx.Done():
				return nil
			case <-s.kept.bell:
				continue
			}
		}
		if pauses.Wait(ctx) != nil {
			return nil
		}
		if err := s.emit(p); err == nil || cdp.Is(err, cdp.Invalid) {
			s.kept.done()
			pauses.Reset()
		}
	}
}
