package bus_test

import (
	"context"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/contract/event"
)

// A reader of events is busy with one of them for a while. Meanwhile so much comes
// that its client drops some of it. The reader gets every event all the same, in order.
func TestASlowReaderOfEventsMissesNone(t *testing.T) {
	t.Parallel()
	const before, after = 200, 120
	s := bustest.Start(t)
	c := s.Connect("dr", "scheduler")
	emit := func(from, to int) {
		t.Helper()
		for n := from; n < to; n++ {
			if err := c.Emit(t.Context(), event.JobApplied{Job: "vm1", Revision: uint64(n)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	busy, free := make(chan bool), make(chan bool)
	got := make(chan uint64, before+after)
	background(t, func(ctx context.Context) error {
		return c.WatchEvents(ctx, bus.EventFilter{Site: "dr", Area: "job"}, func(_ context.Context, e bus.SeenEvent) error {
			p, err := e.Typed()
			if err != nil {
				return err
			}
			n := p.(*event.JobApplied).Revision
			if n == 1 {
				busy <- true
				<-free
			}
			got <- n
			return nil
		})
	})
	emit(1, 2)
	<-busy
	emit(2, before)
	time.Sleep(3 * time.Second) // heartbeats come, and take up room
	emit(before, before+after)
	close(free)
	for n := uint64(1); n < before+after; n++ {
		select {
		case next := <-got:
			if next != n {
				t.Fatalf("event %d came instead of %d", next, n)
			}
		case <-time.After(time.Minute):
			t.Fatalf("event %d never came", n)
		}
	}
}
