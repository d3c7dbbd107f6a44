package node

import (
	"testing"

	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
)

// Epochs only grow for their holder, also when the server lost the newest; the
// newer of two capturers takes over, and the other is refused.
func TestEpochsGrowThoughTheServerForgetsThem(t *testing.T) {
	s := bustest.Start(t, bustest.Secured)
	capturer := func(id string) *epochs {
		return &epochs{conn: s.Connect("prod", subjects.Capture), site: "prod", id: id, clock: clock.System}
	}
	next := func(w *epochs, held cdp.Epoch) cdp.Epoch {
		t.Helper()
		e, err := w.Next(t.Context(), "vm1", held)
		if err != nil {
			t.Fatal(err)
		}
		if e <= held {
			t.Fatalf("%s was given %d after %d", w.id, e, held)
		}
		return e
	}
	a, b := capturer("a"), capturer("b")
	e := next(a, 0)
	e = next(a, e)
	if again := next(a, e-1); again != e {
		t.Fatalf("the answer that was lost was %d, it is given as %d", e, again)
	}
	e = next(a, e+5) // the server came back without five of them
	e = next(a, e)
	f := next(b, 0)
	if f <= e {
		t.Fatalf("b was given %d after %d", f, e)
	}
	if _, err := a.Next(t.Context(), "vm1", e); !cdp.Is(err, cdp.Fenced) {
		t.Fatalf("got %v", err)
	}
	if _, err := a.Next(t.Context(), "vm2", 7); err != nil { // nor does it know the group
		t.Fatal(err)
	}
	next(b, f)
}
