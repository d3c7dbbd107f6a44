package bus_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
)

// The store of a peer is put back from an older copy. The copies here, which have more
// than that, follow it anew: they get what the peer has and what it writes from then on.
func TestAPeersStoreThatWasPutBackIsFollowedAnew(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := bustest.Start(t, bustest.Secured)
	cp, cd := s.Connect("prod", "capture"), s.Connect("dr", "scheduler")
	own, near := buckets(t, cd, cp)
	var seen recorder
	background(t, seen.watch(s.Connect("prod", subjects.Operator), bus.EventFilter{Site: "dr"}))
	write := func(from, to int) {
		t.Helper()
		for n := from; n <= to; n++ {
			bustest.Eventually(t, "a value is written", func() bool { _, err := own.Put(ctx, "vm1", thing{n}); return err == nil })
			bustest.Eventually(t, "an event", func() bool { return cd.Emit(ctx, event.JobApplied{Job: "vm1", Revision: uint64(n)}) == nil })
		}
	}
	copied := func(n int) {
		t.Helper()
		soon(t, fmt.Sprintf("value %d is copied", n), func() bool { e, err := near.Get(ctx, "vm1"); return err == nil && e.Value.N == n })
		soon(t, fmt.Sprintf("event %d is copied", n), func() bool { return seen.has(fmt.Sprintf(`"revision":%d}`, n)) })
	}
	write(1, 5)
	copied(5)
	store, older := s.Config("dr").StoreDir, t.TempDir()
	s.DR.Close()
	if err := os.CopyFS(older, os.DirFS(store)); err != nil {
		t.Fatal(err)
	}
	s.StartDR()
	write(6, 20)
	copied(20)

	s.DR.Close()
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(store, os.DirFS(older)); err != nil {
		t.Fatal(err)
	}
	s.StartDR()
	write(101, 102) // fewer than were lost
	copied(102)
}

// soon waits for what follows only the next comparison of a copy.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within five minutes:", what)
		}
	}
}
