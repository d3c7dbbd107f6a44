package journal

import (
	"context"
	"testing"
)

// Groups that take frames together stay within the memory, whatever comes, and
// what a pipeline leaves behind is given back.
func TestFramesOfAllGroupsShareOneMemory(t *testing.T) {
	m := NewMemory(64 << 20) // 8 MiB for frames
	a, b := &account{of: m}, &account{of: m}
	for range 4 {
		for _, x := range []*account{a, b} {
			if err := x.take(t.Context(), 1<<20); err != nil {
				t.Fatal(err)
			}
		}
	}
	full, cancel := context.WithCancel(t.Context())
	cancel()
	if b.take(full, 1) == nil {
		t.Fatal("there was room beyond the memory")
	}
	waits := make(chan error, 1)
	go func() { waits <- b.take(t.Context(), 1<<20) }()
	a.give(1 << 20)
	if err := <-waits; err != nil {
		t.Fatal(err)
	}
	a.close()
	b.close()
	if err := a.take(full, 1); err == nil {
		t.Fatal("a canceled wait got room")
	}
	// A frame above all of it still gets through, alone.
	if err := a.take(t.Context(), 1<<30); err != nil {
		t.Fatal(err)
	}
	a.give(1 << 30)
	if !m.frames.TryAcquire(m.most) {
		t.Error("not all was given back")
	}
}
