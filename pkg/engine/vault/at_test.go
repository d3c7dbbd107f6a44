package vault_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
	"tidemark.dev/pkg/seedtest"
)

// A moment is asked for; what is found is the newest write at or before it
// where history is complete, as the plain list of all writes says.
func TestAMomentFindsTheNewestCompleteWrite(t *testing.T) {
	seed := seedtest.Seed(t)
	disks := []cdp.Disk{{Size: cdp.RegionSize}}
	for i := range 300 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		g, err := vault.Open(context.Background(), disks, vaulttest.NewMemStore(), vaulttest.NewMemReplica(disks), vault.Config{TailEntries: 10})
		if err != nil {
			t.Fatal(err)
		}
		tl := timeline{now: start}
		for n := range 1 + rng.IntN(12) {
			store(t, g, tl.frame(rng, n == 0))
		}
		for range 30 {
			at := start + rng.Int64N(tl.now-start+20000) - 5000
			want, found := tl.at(at)
			got, when, err := g.At(0, cdp.FrameNo(math.MaxUint64), time.Unix(0, at))
			if found != (err == nil) || found && got != want {
				t.Fatalf("history %d: at %d found %d %v, want %d %v", i, at, got, err, want, found)
			}
			if err == nil && when.UnixNano() > at {
				t.Fatalf("history %d: at %d found a moment after it, %d", i, at, when.UnixNano())
			}
			if err != nil && !cdp.Is(err, cdp.NotFound) {
				t.Fatal(err)
			}
		}
		complete := tl.complete()
		for s := range cdp.Seq(len(tl.writes) + 2) {
			if got, err := g.Complete(s); err != nil || got != complete[s] {
				t.Fatalf("history %d: write %d of %d is complete: %v, want %v (%v)", i, s, len(tl.writes), got, complete[s], err)
			}
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// start is when the timelines begin, in ns.
const start = int64(1e9)

// moment is a write, or the end of a frame.
type moment struct {
	at       int64 // ns
	complete bool  // history is complete there
}

// timeline is a random history of frames, some of them complete.
type timeline struct {
	now        int64
	consistent bool // history is complete at now
	last       frame.Header
	writes     []moment // writes[i] has seq i+1
	ends       []moment // of frames
	endsWith   []cdp.Seq
}

// frame makes the next frame.
func (tl *timeline) frame(rng *rand.Rand, first bool) frame.Frame {
	b := frame.NewBuilder(make([]byte, frame.SlotSize))
	h := frame.Header{Epoch: 1, No: tl.last.No + 1, First: tl.last.Last() + 1, Prev: tl.last.Hash, Opened: tl.now}
	if tl.last.No == 0 {
		h.First = 1
	}
	was := tl.consistent
	if rng.IntN(4) == 0 {
		tl.consistent = !tl.consistent
	}
	if tl.consistent {
		h.Flags |= frame.Consistent
	}
	if first {
		h.Flags |= frame.ExtentStart
	}
	for range rng.IntN(4) {
		tl.now += (1 + rng.Int64N(50)) * 1000
		b.Append(frame.Record{Length: 512, Kind: frame.Zero, Micros: uint32((tl.now - h.Opened) / 1000)}, nil)
		tl.writes = append(tl.writes, moment{tl.now, was && tl.consistent && !first})
	}
	tl.now += (1 + rng.Int64N(50)) * 1000
	h.Sealed = tl.now
	f := b.Seal(h)
	tl.last = f.Header
	tl.ends, tl.endsWith = append(tl.ends, moment{tl.now, tl.consistent}), append(tl.endsWith, tl.last.Last())
	return f
}

// at is the newest write at or before ns where history is complete.
func (tl *timeline) at(ns int64) (newest cdp.Seq, found bool) {
	for k, e := range tl.ends {
		if e.complete && e.at <= ns {
			newest, found = tl.endsWith[k], true
		}
	}
	for k, w := range tl.writes {
		if s := cdp.Seq(k + 1); w.complete && w.at <= ns && (!found || s > newest) {
			newest, found = s, true
		}
	}
	return newest, found
}

// complete are the writes where history is complete.
func (tl *timeline) complete() map[cdp.Seq]bool {
	out := map[cdp.Seq]bool{}
	for k, e := range tl.ends {
		out[tl.endsWith[k]] = out[tl.endsWith[k]] || e.complete
	}
	for k, w := range tl.writes {
		out[cdp.Seq(k+1)] = out[cdp.Seq(k+1)] || w.complete
	}
	return out
}

// store stores a frame.
func store(t *testing.T, g *vault.Group, f frame.Frame) {
	t.Helper()
	if _, v, why, err := g.Offer(f.Bytes()); err != nil || v != admission.Accept {
		t.Fatal(why, err)
	}
	batch, err := g.Prepare([]frame.Frame{f})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := batch.Commit(); err != nil {
		t.Fatal(err)
	}
}
