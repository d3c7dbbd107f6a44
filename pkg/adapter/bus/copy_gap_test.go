package bus_test

import (
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/contract/subjects"
)

// A link dies silently. The server goes on sending into it, and takes a value that was
// sent and then overwritten for acknowledged, with all values before it. When the
// link is back, the copy gets those all the same.
func TestACopyGetsWhatWasSentIntoADeadLink(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := bustest.Start(t)
	cp, cd := s.Connect("prod", "capture"), s.Connect("dr", "scheduler")
	b, err := bus.OpenBucket[thing](ctx, cd, "dr", subjects.BucketState, "job")
	own := open(t, b, err)
	b, err = bus.OpenPeerBucket[thing](ctx, cp, "dr", subjects.BucketState, "job")
	near := open(t, b, err)
	put := func(key string, n int) {
		t.Helper()
		if _, err := own.Put(ctx, key, thing{n}); err != nil {
			t.Fatal(err)
		}
	}
	copied := func(key string, n int) {
		t.Helper()
		bustest.Eventually(t, key+" is copied", func() bool { e, err := near.Get(ctx, key); return err == nil && e.Value.N == n })
	}
	put("often", 1)
	copied("often", 1)

	s.Link.Deafen(true)
	put("once", 1)
	for n := range 10 {
		put("often", 2+n)
		time.Sleep(100 * time.Millisecond) // each is sent before it is overwritten
	}
	s.Link.Cut()
	s.Link.Deafen(false)
	s.Link.Heal()

	copied("often", 11)
	copied("once", 1)
}
