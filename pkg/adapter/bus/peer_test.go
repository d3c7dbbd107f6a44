package bus_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/contract/event"
)

// The source is started long before the target: the jobs are there soon after
// the target is, as are the source's events at the target.
func TestSitesStartInAnyOrder(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := bustest.Apart(t, bustest.Secured)
	cp, cd := s.Connect("prod", "capture"), s.Connect("dr", "scheduler")
	b, err := bus.OpenBucket[thing](ctx, cd, "dr", subjects.BucketSpec, "job")
	own := open(t, b, err)
	b, err = bus.OpenPeerBucket[thing](ctx, cp, "dr", subjects.BucketSpec, "job")
	near := open(t, b, err)
	if _, err := own.Put(ctx, "vm1", thing{1}); err != nil {
		t.Fatal(err)
	}
	if err := cp.Emit(ctx, event.CaptureProgress{Group: "vm1", Done: 7, Total: 1000}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // each server has asked the other, in vain
	s.Link.Heal()
	s.Joined()
	var seen recorder
	background(t, seen.watch(cd, bus.EventFilter{Site: "prod"}))
	// Left to itself, a server would ask again 40 s after it did in vain.
	ctx, cancel := context.WithTimeout(ctx, 25*time.Second)
	defer cancel()
	for {
		e, err := near.Get(ctx, "vm1")
		if err == nil && e.Value.N == 1 && seen.has(`"done":7,`) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the job is %+v (%v), the events are %q", e, err, &seen)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// A copy is begun anew again and again while the peer writes: who reads it never
// misses a job that stands, never sees an old state again, and no event twice
// or not at all.
func TestACopyBegunAnewLosesNothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := bustest.Start(t)
	cp, cd := s.Connect("prod", "capture"), s.Connect("dr", "scheduler")
	b, err := bus.OpenBucket[thing](ctx, cd, "dr", subjects.BucketSpec, "job")
	own := open(t, b, err)
	b, err = bus.OpenPeerBucket[thing](ctx, cp, "dr", subjects.BucketSpec, "job")
	near := open(t, b, err)
	if _, err := own.Put(ctx, "stands", thing{1}); err != nil {
		t.Fatal(err)
	}
	bustest.Eventually(t, "copied", func() bool { _, err := near.Get(ctx, "stands"); return err == nil })

	const last = 700
	var mu sync.Mutex
	states, goes := []int{0}, 0 // of vm1, and how often the job that stands was seen to go
	background(t, func(ctx context.Context) error {
		return near.Watch(ctx, nil, func(e bus.Entry[thing]) error {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case e.Key == "stands" && e.Deleted:
				goes++
			case e.Key == "vm1" && !e.Deleted:
				states = append(states, e.Value.N)
			}
			return nil
		})
	})
	var seen recorder
	background(t, seen.watch(cp, bus.EventFilter{Site: "dr"}))
	written := make(chan error, 1)
	go func() {
		written <- func() error {
			for n := 1; n <= last; n++ {
				if _, err := own.Put(ctx, "vm1", thing{n}); err != nil {
					return err
				}
				if err := cd.Emit(ctx, event.JobApplied{Job: "vm1", Revision: uint64(n)}); err != nil {
					return err
				}
				if n%7 == 0 { // a job that comes and goes
					if err := own.Delete(ctx, "vm1", 0); err != nil {
						return err
					}
				}
				time.Sleep(4 * time.Millisecond)
			}
			return nil
		}()
	}()
	setup := s.Connect("prod", subjects.Setup)
	begun := 0
	for going := true; going; {
		if err := bus.BeginAnew(ctx, setup, "dr"); err != nil {
			t.Fatal(err)
		}
		begun++
		for range 20 {
			if _, err := near.Get(ctx, "stands"); err != nil {
				t.Fatal("the job that stands:", err)
			}
		}
		select {
		case err := <-written:
			if err != nil {
				t.Fatal(err)
			}
			going = false
		case <-time.After(time.Duration(begun*37%500) * time.Millisecond):
		}
	}
	bustest.Eventually(t, "the last state", func() bool { mu.Lock(); defer mu.Unlock(); return states[len(states)-1] == last })
	bustest.Eventually(t, "the last event", func() bool { return seen.has(fmt.Sprintf(`"revision":%d}`, last)) })
	mu.Lock()
	defer mu.Unlock()
	if goes != 0 {
		t.Errorf("the job that stands was seen to go %d times", goes)
	}
	if !slices.IsSorted(states) || len(slices.Compact(slices.Clone(states))) != len(states) {
		t.Errorf("states came again: %v", states)
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if len(seen.seen) != last {
		t.Errorf("%d of %d events", len(seen.seen), last)
	}
	for i, e := range seen.seen {
		if want := fmt.Sprintf(`"revision":%d}`, i+1); !strings.Contains(e, want) {
			t.Fatalf("event %d is %s", i+1, e)
		}
	}
	t.Logf("begun anew %d times", begun)
}

// A consumer that was reset to 138 has sent that message to nobody before the
// server said how far it is. The copy must not take it for received.
func TestAResetSaysWhereToAndNotHowFar(t *testing.T) {
	got := string(bus.Delivered([]byte(`{"name":"copy","delivered":{"consumer_seq":1,"stream_seq":138},"config":{"ack_policy":"flow_control"},"reset_seq":138}`)))
	for _, want := range []string{`"delivered":{"consumer_seq":0,"stream_seq":137}`, `"reset_seq":138`, `"config":{"ack_policy":"flow_control"}`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	if refusal := `{"error":{"code":400}}`; string(bus.Delivered([]byte(refusal))) != refusal {
		t.Error("a refusal was changed")
	}
}
