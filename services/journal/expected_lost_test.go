package journal

import (
	"path/filepath"
	"slices"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
)

// A point was lost to damage, and its source sends its frame again. It has the tags and
// the pin that it had.
func TestALostPointThatComesAgainHasItsTags(t *testing.T) {
	v, err := vault.Open(t.Context(), testDisks, vaulttest.NewMemStore(), vaulttest.NewMemReplica(testDisks), vault.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	x := &expected{path: filepath.Join(t.TempDir(), "g.expected"), deps: Deps{Facts: &site{t: t}, Clock: clock.System}, group: "g", vault: v}
	lost := []cdp.Loss{{From: 1, To: 2, Points: []cdp.Point{{Frame: 1, Seq: 1, Request: 7, Tags: []string{"gold"}, Pinned: true}, {Frame: 2, Seq: 2}}}}
	x.again(lost)
	x.again(lost) // as the next start does
	if len(x.list) != 1 {
		t.Fatalf("expected: %+v", x.list)
	}
	b := frame.NewBuilder(make([]byte, frame.SlotSize))
	b.Append(frame.Record{Length: cdp.SectorSize, Kind: frame.Write}, make([]byte, cdp.SectorSize))
	sent := b.Seal(frame.Header{Flags: frame.ExtentStart | frame.Consistent | frame.Marker, Epoch: 1, No: 1, First: 1, Request: 7})
	f, verdict, why, err := v.Offer(sent.Bytes())
	if err != nil || verdict != admission.Accept {
		t.Fatal(verdict, why, err)
	}
	pending, err := v.Prepare([]frame.Frame{f})
	if err == nil {
		_, err = pending.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	points := v.Points()
	if len(points) != 1 {
		t.Fatalf("points: %+v", points)
	}
	if is := x.give(t.Context(), points[0]); !slices.Equal(is.Tags, []string{"gold"}) || !is.Pinned {
		t.Errorf("it has become %+v", is)
	}
	if x.again(lost); len(x.list) != 0 { // it is here: what becomes of its tags is the operator's
		t.Errorf("it is expected once more: %+v", x.list)
	}
}
