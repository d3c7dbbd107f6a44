package capture

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// deafBus publishes nothing while it is down.
type deafBus struct {
	mu    sync.Mutex
	down  bool
	heard []event.CaptureState
}

func (b *deafBus) Emit(_ context.Context, p event.Payload) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := p.(event.CaptureStateChanged)
	if b.down {
		return cdp.Errorf(cdp.Transient, "emit event", "", "nobody answers")
	}
	if ok && c.Reason == "never" {
		return cdp.Errorf(cdp.Invalid, "emit event", "", "the schema refuses it")
	}
	b.heard = append(b.heard, c.State)
	return nil
}

func (b *deafBus) set(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

func (b *deafBus) has(want ...event.CaptureState) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Equal(b.heard, want)
}

// A change of state that happens while the bus is down is published once it answers, in
// order with those before and after it. One that can never be published stops no other.
func TestChangesOfStateAreHeardAfterTheBusWasDown(t *testing.T) {
	bus := &deafBus{}
	s, _ := newService(t, func(d *Deps) { d.Events = bus })
	runService(t, s)
	step := func(to event.CaptureState, reason string) {
		listener{s}.StateChanged(Change{Group: "web", To: to, Reason: reason})
	}
	until := func(want ...event.CaptureState) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !bus.has(want...); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("heard %v, want %v", bus.heard, want)
			}
		}
	}
	step(event.Replicating, "")
	until(event.Replicating)
	bus.set(true)
	step(event.Overflow, "")
	step(event.Detached, "never")
	step(event.Resyncing, "")
	bus.set(false)
	step(event.Seeding, "")
	until(event.Replicating, event.Overflow, event.Resyncing, event.Seeding)
}

// A capture that is stopped while the bus is down has told nobody what happened last. The
// next one does, in order, and only once; a damaged or unreadable file stops nothing.
func TestChangesOfStateAreHeardAfterARestart(t *testing.T) {
	dir := t.TempDir()
	bus := &deafBus{down: true}
	start := func() (s *Service, stop func()) {
		x := &site{bus: newBus(1)}
		s, err := New(Config{StateDir: filepath.Join(dir, "state"), WindowDir: filepath.Join(dir, "window"), RetryMin: time.Millisecond}, Deps{Site: "prod", Jobs: x,
			Runs: noRuns{}, TapBase: x, Streams: x, Epochs: epochs{x.bus}, Journal: journal{x.bus}, Servers: nbdServers{}, Disk: openFile, Events: bus, Boot: "boot-1"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		return s, func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	s, stop := start()
	listener{s}.StateChanged(Change{Group: "web", To: event.Overflow, Reason: "the target is slow"})
	listener{s}.Alarm("web", "meddling", "somebody else wrote")
	stop()
	s, stop = start()
	listener{s}.StateChanged(Change{Group: "web", To: event.Resyncing})
	stop()
	bus.set(false)
	file := filepath.Join(dir, "state", "events.json")
	_, stop = start()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(file); err != nil && bus.has(event.Overflow, "", event.Resyncing) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("heard %v", bus.heard)
		}
	}
	stop()
	if err := os.WriteFile(file, []byte("[{\ncrc32c 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stop = start()
	stop()
	if _, err := os.Stat(file + ".damaged"); err != nil || !bus.has(event.Overflow, "", event.Resyncing) {
		t.Error(err, bus.heard)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	_, stop = start()
	stop()
}

func TestOfTooManyChangesTheOldestAreLost(t *testing.T) {
	bus := &deafBus{down: true}
	s, _ := newService(t, func(d *Deps) { d.Events = bus })
	for range maxKeptFacts + 5 {
		listener{s}.StateChanged(Change{Group: "web", To: event.Overflow})
	}
	listener{s}.StateChanged(Change{Group: "web", To: event.Fenced})
	last := s.kept.of[len(s.kept.of)-1].(event.CaptureStateChanged)
	if len(s.kept.of) != maxKeptFacts || last.State != event.Fenced {
		t.Error(len(s.kept.of), last.State)
	}
}
