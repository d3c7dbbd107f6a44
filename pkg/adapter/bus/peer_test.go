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

// The source starts long before the target. Soon after the target starts, the
// source has the jobs and the target has the source's events.
func TestSitesStartInAnyOrder(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := bustest.Apart(t, bustest.Secured)
	cp, cd := s.Connect("prod", "capture"), s.Connect("dr", "scheduler")
	own, near := buckets(t, cd, cp)
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
			t.Fatalf("the job is %+v (%v), the events are %q\nthe copy: %s\nits consumer: %s", e, err, &seen,
				bus.Sources(s.Connect("prod", "setup"), "KV_tidemark-spec-dr"), bus.Consumers(s.Connect("dr", "setup"), "KV_tidemark-spec"))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// lastRevision is how far writeRevisions counts.
const lastRevision = 700

// copyReader records what a reader of a copied bucket sees.
type copyReader struct {
	mu      sync.Mutex
	states  []int // of vm1
	removed int   // how often the job "stays" was seen to be removed
}

func (r *copyReader) see(e bus.Entry[thing]) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case e.Key == "stays" && e.Deleted:
		r.removed++
	case e.Key == "vm1" && !e.Deleted:
		r.states = append(r.states, e.Value.N)
	}
	return nil
}

func (r *copyReader) newest() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.states[len(r.states)-1]
}

// writeRevisions writes the job vm1 again and again, with an event each time. It
// deletes the job now and then.
func writeRevisions(ctx context.Context, own *bus.Bucket[thing], c *bus.Conn) error {
	for n := 1; n <= lastRevision; n++ {
		if _, err := own.Put(ctx, "vm1", thing{n}); err != nil {
			return err
		}
		if err := c.Emit(ctx, event.JobApplied{Job: "vm1", Revision: uint64(n)}); err != nil {
			return err
		}
		if n%7 == 0 {
			if err := own.Delete(ctx, "vm1", 0); err != nil {
				return err
			}
		}
		time.Sleep(4 * time.Millisecond)
	}
	return nil
}

// Copies are restarted again and again while the peer writes. A reader never
// misses a job that exists and never sees an old state again, and gets each
// event exactly once.
func TestARestartedCopyLosesNothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := bustest.Start(t)
	cp, cd := s.Connect("prod", "capture"), s.Connect("dr", "scheduler")
	own, near := buckets(t, cd, cp)
	if _, err := own.Put(ctx, "stays", thing{1}); err != nil {
		t.Fatal(err)
	}
	bustest.Eventually(t, "copied", func() bool { _, err := near.Get(ctx, "stays"); return err == nil })

	r := copyReader{states: []int{0}}
	background(t, func(ctx context.Context) error { return near.Watch(ctx, nil, r.see) })
	var seen recorder
	background(t, seen.watch(cp, bus.EventFilter{Site: "dr"}))
	written := make(chan error, 1)
	go func() { written <- writeRevisions(ctx, own, cd) }()
	restartCopies(t, s.Connect("prod", subjects.Setup), near, written)

	bustest.Eventually(t, "the last state", func() bool { return r.newest() == lastRevision })
	bustest.Eventually(t, "the last event", func() bool { return seen.has(fmt.Sprintf(`"revision":%d}`, lastRevision)) })
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.removed != 0 {
		t.Errorf("a job that exists was seen to be removed %d times", r.removed)
	}
	if !slices.IsSorted(r.states) || len(slices.Compact(slices.Clone(r.states))) != len(r.states) {
		t.Errorf("states came again: %v", r.states)
	}
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if len(seen.seen) != lastRevision {
		t.Errorf("%d of %d events", len(seen.seen), lastRevision)
	}
	for i, e := range seen.seen {
		if want := fmt.Sprintf(`"revision":%d}`, i+1); !strings.Contains(e, want) {
			t.Fatalf("event %d is %s", i+1, e)
		}
	}
}

// restartCopies restarts the copies of dr until everything is written. The job
// "stays" can be read all the time.
func restartCopies(t *testing.T, setup *bus.Conn, near *bus.Bucket[thing], written <-chan error) {
	t.Helper()
	for n := 1; ; n++ {
		if err := bus.RestartCopies(t.Context(), setup, "dr"); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if _, err := near.Get(t.Context(), "stays"); err != nil {
				t.Fatal("read a job that exists:", err)
			}
		}
		select {
		case err := <-written:
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("restarted %d times", n)
			return
		case <-time.After(time.Duration(n*37%500) * time.Millisecond):
		}
	}
}

// A consumer that was reset to 138 sent that message to nobody before the server
// reported its position. The copy must not count it as received.
func TestAResetReportsNothingDelivered(t *testing.T) {
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
