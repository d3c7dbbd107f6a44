package capture

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/engine/durable"
	"tidemark.dev/pkg/engine/wake"
)

// maxKeptFacts is how many facts are kept for a bus that does not answer. Of more, the
// oldest are lost.
const maxKeptFacts = 1000

// keptFacts are changes of state and alarms that could not be published, in order. Whoever
// follows a group by its events, such as a plan's trigger, would go on from a state that
// is over: so they are published when the bus answers. A file has them for the next
// process. It may have some that were published since: those are published twice, in
// order, and never a later one before an earlier one.
type keptFacts struct {
	bell wake.Bell
	path string // of the file; one goroutine at a time writes it

	mu      sync.Mutex
	of      []event.Payload
	changed bool // the file does not have all of it
}

// fact is a fact in the file; one of its fields is set.
type fact struct {
	State *event.CaptureStateChanged `json:"state,omitempty"`
	Alarm *event.CaptureAlarm        `json:"alarm,omitempty"`
}

// openKeptFacts reads what the last process could not publish. A damaged file is moved
// out of the way; one that cannot be read is reported, and costs no disk its service.
func (s *Service) openKeptFacts() {
	k := &s.kept
	k.bell, k.path = wake.New(), filepath.Join(s.cfg.StateDir, "events.json")
	of, err := durable.ReadRecord[[]fact](k.path)
	if cdp.Is(err, cdp.Corrupt) {
		_, aside := durable.SetAside(k.path)
		err = errors.Join(err, aside)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.notify(&cdp.Error{Op: "read kept events", Kind: cdp.Transient, Subject: k.path, Cause: err}, "")
	}
	for _, f := range of {
		switch {
		case f.State != nil:
			k.of = append(k.of, *f.State)
		case f.Alarm != nil:
			k.of = append(k.of, *f.Alarm)
		}
	}
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
	k.of, k.changed = append(k.of, p), true
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
	k.of, k.changed = k.of[1:], true
}

// save brings the file up to date.
func (k *keptFacts) save() error {
	k.mu.Lock()
	if !k.changed {
		k.mu.Unlock()
		return nil
	}
	k.changed = false
	of := make([]fact, len(k.of))
	for i, p := range k.of {
		switch p := p.(type) {
		case event.CaptureStateChanged:
			of[i].State = &p
		case event.CaptureAlarm:
			of[i].Alarm = &p
		}
	}
	k.mu.Unlock()
	if len(of) == 0 {
		return durable.RemoveRecord(k.path)
	}
	if err := os.MkdirAll(filepath.Dir(k.path), 0o700); err != nil {
		return err
	}
	return durable.WriteRecord(k.path, of)
}

// saveKept saves what is kept, or says why it cannot.
func (s *Service) saveKept() {
	if err := s.kept.save(); err != nil {
		s.notify(&cdp.Error{Op: "keep events", Kind: cdp.Transient, Subject: s.kept.path, Cause: err}, "")
	}
}

// publishKept saves what is kept, and publishes it, until ctx ends.
func (s *Service) publishKept(ctx context.Context) error {
	pauses := clock.Backoff{Min: s.cfg.RetryMin, Max: s.cfg.RetryMax}
	var again <-chan time.Time
	for {
		s.saveKept()
		if _, has := s.kept.next(); has && again == nil {
			again = clock.After(s.deps.Clock, pauses.Next())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.kept.bell:
		case <-again:
			again = nil
			if s.publishAll(ctx) {
				pauses.Reset()
			}
		}
	}
}

// publishAll publishes what is kept as far as the bus takes it. What can never be
// published is dropped.
func (s *Service) publishAll(ctx context.Context) (all bool) {
	for ctx.Err() == nil {
		p, ok := s.kept.next()
		if !ok {
			return true
		}
		if err := s.emit(p); err != nil && !cdp.Is(err, cdp.Invalid) {
			return false
		}
		s.kept.done()
	}
	return false
}
