package admission

import (
	"math/rand/v2"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/seedtest"
)

// Capturers come and go, each sending its frames through a bus that loses,
// doubles, delays and reorders them. Whatever arrives, what was admitted is one
// unbroken chain, and it never holds a frame that a capturer sent after a newer
// one was heard.
func TestWhateverArrivesTheJournalIsOneChain(t *testing.T) {
	seed := seedtest.Seed(t)
	histories := 100_000
	for i := range histories {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		var s State
		var journal []frame.Header
		type capturer struct{ at State }
		caps := []*capturer{{}}
		epochs := cdp.Epoch(0)
		var wire []frame.Header
		for range 30 {
			switch rng.IntN(8) {
			case 0: // a new capturer continues after what the journal holds
				epochs++
				caps = append(caps, &capturer{at: State{Epoch: epochs, No: s.No, Head: s.Head, Hash: s.Hash}})
				c := caps[len(caps)-1]
				wire = append(wire, next(rng, &c.at, frame.ExtentStart))
			case 1, 2, 3: // any of them, however stale, sends
				c := caps[rng.IntN(len(caps))]
				wire = append(wire, next(rng, &c.at, 0))
			default:
				if len(wire) == 0 {
					continue
				}
				k := min(rng.IntN(4), len(wire)-1)
				h := wire[k]
				if rng.IntN(4) > 0 { // else it stays and comes again
					wire = append(wire[:k], wire[k+1:]...)
				}
				v, why := Decide(s, h)
				if (v == Accept) != (why == "") {
					t.Fatalf("history %d: verdict %v with reason %q", i, v, why)
				}
				if v == Accept {
					s = s.After(h)
					journal = append(journal, h)
				}
			}
		}
		var m State
		for _, h := range journal {
			if h.No != m.No+1 || h.Prev != m.Hash || h.First != m.Head+1 || h.Epoch < m.Epoch {
				t.Fatalf("history %d: after %+v the journal took %+v", i, m, h)
			}
			m = m.After(h)
		}
	}
}

func next(rng *rand.Rand, s *State, f frame.Flags) frame.Header {
	h := frame.Header{Flags: f, Epoch: s.Epoch, No: s.No + 1, First: s.Head + 1, Records: rng.IntN(3), Prev: s.Hash}
	for i := range 8 {
		h.Hash[i] = byte(rng.Uint32())
	}
	*s = s.After(h)
	return h
}

func TestEachVerdictHasItsCase(t *testing.T) {
	s := State{Epoch: 3, No: 10, Head: 100, Hash: frame.Hash{9}}
	ok := frame.Header{Epoch: 3, No: 11, First: 101, Prev: frame.Hash{9}}
	edit := func(f func(*frame.Header)) frame.Header { h := ok; f(&h); return h }
	for _, c := range []struct {
		name string
		h    frame.Header
		want Verdict
	}{
		{"the next frame", ok, Accept},
		{"the newest frame again", edit(func(h *frame.Header) { h.No, h.Hash = 10, s.Hash }), Duplicate},
		{"an old frame again", edit(func(h *frame.Header) { h.No = 4 }), Duplicate},
		{"an old frame of an old epoch", edit(func(h *frame.Header) { h.No, h.Epoch = 4, 2 }), Duplicate},
		{"a frame too far", edit(func(h *frame.Header) { h.No = 12 }), Gap},
		{"a stale capturer's next", edit(func(h *frame.Header) { h.Epoch = 2 }), Fenced},
		{"a new capturer on a lost stream", edit(func(h *frame.Header) { h.Epoch, h.No, h.Flags = 4, 7, frame.ExtentStart }), Rewound},
		{"another past", edit(func(h *frame.Header) { h.Prev = frame.Hash{8} }), Broken},
		{"a hole in the writes", edit(func(h *frame.Header) { h.First = 102 }), Broken},
		{"a new epoch without an extent", edit(func(h *frame.Header) { h.Epoch = 4 }), Broken},
		{"a new capturer", edit(func(h *frame.Header) { h.Epoch, h.Flags = 4, frame.ExtentStart }), Accept},
	} {
		if got, why := Decide(s, c.h); got != c.want {
			t.Errorf("%s: %v (%s), want %v", c.name, got, why, c.want)
		}
	}
}
