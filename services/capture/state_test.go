package capture

import (
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/dirty"
)

// Every state with every set of facts.
func TestTheStateNeverClaimsTooMuch(t *testing.T) {
	all := []event.CaptureState{event.Detached, event.Seeding, event.Replicating, event.Overflow, event.Resyncing, event.NeedsResync, event.Fenced, event.CaptureStopped}
	for _, s := range all {
		for bits := range 1 << 9 {
			has := func(i int) bool { return bits>>i&1 == 1 }
			f := facts{has(0), has(1), has(2), has(3), has(4), has(5), has(6), has(7), has(8)}
			n := next(s, f)
			switch {
			case n == event.Replicating && (!f.attached || f.dirty || f.tapLost || f.tapCopying || f.full || f.fenced || f.stopped):
				t.Fatalf("%s with %+v becomes replicating", s, f)
			case s == event.CaptureStopped && n != event.CaptureStopped, s == event.Fenced && n != event.Fenced && n != event.CaptureStopped:
				t.Fatalf("%s with %+v becomes %s", s, f, n)
			case s == event.Overflow && accepts(n) && !f.drained:
				t.Fatalf("overflow with %+v accepts again", f)
			case f.full && accepts(n):
				t.Fatalf("%s with %+v accepts", s, f)
			case next(n, f) != n:
				t.Fatalf("%s with %+v becomes %s, which is not stable", s, f, n)
			}
		}
	}
}

func TestWhereACapturerGoesOn(t *testing.T) {
	h := func(b byte) frame.Hash { return frame.Hash{b} }
	mark := dirty.Mark{No: 10, Hash: h(10), Last: 100, Valid: true, FirstEpoch: 3, Epoch: 4, Origin: 5}
	head := func(no cdp.FrameNo, e cdp.Epoch, hash, prev frame.Hash) *frame.Header {
		return &frame.Header{No: no, Epoch: e, First: cdp.Seq(no) * 10, Records: 1, Hash: hash, Prev: prev}
	}
	k := knowledge{mark: mark, next: 14, frames: []held{
		{ord: 10, sealed: true, Header: *head(10, 4, h(10), h(9))},
		{ord: 11, sealed: true, Header: *head(11, 4, h(11), h(10)), before: h(111)},
		{ord: 12, sealed: true, Header: *head(12, 4, h(12), h(11))},
		{ord: 13},
	}}
	strayed := k
	strayed.strayed = true
	for _, c := range []struct {
		name   string
		k      knowledge
		tail   cdp.FrameNo
		last   *frame.Header
		cursor *admission.State
		want   place
	}{
		{"after what it acknowledged", k, 10, head(10, 4, h(10), h(9)), nil, place{base: ref{10, h(10), 100}, from: 11, found: true, epoch: 4}},
		{"the same, the message purged", k, 10, nil, nil, place{base: ref{10, h(10), 100}, from: 11, found: true, epoch: 4}},
		{"after more than it knew", k, 12, head(12, 4, h(12), h(11)), nil, place{base: ref{12, h(12), 120}, from: 13, found: true, epoch: 4}},
		{"after a frame it has sealed again since", k, 11, head(11, 3, h(111), h(10)), nil, place{base: ref{11, h(111), 110}, from: 12, found: true, epoch: 4}},
		{"a newer capturer", k, 11, head(11, 9, h(99), h(10)), nil, place{base: ref{11, h(99), 110}, lost: lostEverything, epoch: 9}},
		{"another capturer of before", k, 11, head(11, 1, h(99), h(10)), nil, place{base: ref{11, h(99), 110}, lost: lostEverything, epoch: 4}},
		{"a stream behind: ask", k, 9, head(9, 4, h(9), h(8)), nil, place{ask: true}},
		{"a stream behind, and the journal has it all", k, 9, head(9, 4, h(9), h(8)), &admission.State{Epoch: 4, No: 10, Hash: h(10), Head: 100}, place{base: ref{10, h(10), 100}, from: 11, found: true, recreate: true, epoch: 4}},
		{"a stream behind, the window has the rest", k, 9, head(9, 4, h(9), h(8)), &admission.State{Epoch: 4, No: 9, Hash: h(9), Head: 90}, place{base: ref{9, h(9), 90}, from: 10, found: true, epoch: 4}},
		{"a stream far behind", k, 7, head(7, 4, h(7), h(6)), &admission.State{Epoch: 4, No: 6, Hash: h(6), Head: 60}, place{base: ref{7, h(7), 70}, lost: lostActivity, epoch: 4}},
		{"an empty stream and an old journal", k, 0, nil, &admission.State{Epoch: 2, No: 4, Hash: h(4), Head: 40}, place{base: ref{4, h(4), 40}, recreate: true, apart: true, lost: lostEverything, epoch: 4}},
		{"the last message is gone: ask", k, 12, nil, nil, place{ask: true}},
		{"gone, and the journal has it", k, 12, nil, &admission.State{Epoch: 4, No: 12, Hash: h(12), Head: 120}, place{base: ref{12, h(12), 120}, from: 13, found: true, epoch: 4}},
		{"gone, and the journal is behind", k, 12, nil, &admission.State{Epoch: 4, No: 10, Hash: h(10), Head: 100}, place{again: true, base: ref{10, h(10), 100}}},
		{"strayed: ask", strayed, 12, head(12, 4, h(12), h(11)), nil, place{ask: true}},
		{"strayed from a frame it has sealed anew since", strayed, 12, head(12, 4, h(12), h(11)), &admission.State{Epoch: 3, No: 11, Hash: h(111), Head: 110}, place{base: ref{11, h(111), 110}, from: 12, found: true, recreate: true, apart: true, epoch: 4}},
		{"strayed from a frame of its own that it has no more", strayed, 12, head(12, 4, h(12), h(11)), &admission.State{Epoch: 3, No: 11, Hash: h(112), Head: 112}, place{base: ref{11, h(112), 112}, lost: lostActivity, recreate: true, apart: true, epoch: 4}},
		{"strayed from another's", strayed, 12, head(12, 4, h(12), h(11)), &admission.State{Epoch: 6, No: 8, Hash: h(88), Head: 88}, place{base: ref{8, h(88), 88}, lost: lostEverything, recreate: true, apart: true, epoch: 6}},
		{"a first start: ask", knowledge{next: 1}, 0, nil, nil, place{ask: true}},
		{"a first start", knowledge{next: 1}, 0, nil, &admission.State{}, place{}},
		{"a reboot", knowledge{next: 1}, 12, head(12, 4, h(12), h(11)), &admission.State{Epoch: 4, No: 11, Hash: h(11), Head: 110}, place{base: ref{12, h(12), 120}, epoch: 4}},
	} {
		if got := findPlace(c.k, c.tail, c.last, c.cursor); got != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
	}
}
