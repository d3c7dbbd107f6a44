package vault_test

import (
	"context"
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
		type write struct {
			at       int64 // ns
			complete bool
		}
		var writes []write
		var ends []write // frames: when sealed, and whether complete; seq beside
		var endSeq []cdp.Seq
		var last frame.Header
		now := int64(1e9)
		complete := false
		for n := range 1 + rng.IntN(12) {
			b := frame.NewBuilder(make([]byte, frame.SlotSize))
			h := frame.Header{Epoch: 1, No: last.No + 1, First: last.Last() + 1, Prev: last.Hash, Opened: now}
			if last.No == 0 {
				h.First = 1
			}
			was := complete
			if rng.IntN(4) == 0 {
				complete = !complete
			}
			if complete {
				h.Flags |= frame.Consistent
			}
			if n == 0 {
				h.Flags |= frame.ExtentStart
			}
			for range rng.IntN(4) {
				now += (1 + rng.Int64N(50)) * 1000
				b.Append(frame.Record{Length: 512, Kind: frame.Zero, Micros: uint32((now - h.Opened) / 1000)}, nil)
				writes = append(writes, write{now, was && complete && n > 0})
			}
			now += (1 + rng.Int64N(50)) * 1000
			h.Sealed = now
			f := b.Seal(h)
			last = f.Header
			ends, endSeq = append(ends, write{now, complete}), append(endSeq, last.Last())
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
		for range 30 {
			at := int64(1e9) + rng.Int64N(now-1e9+20000) - 5000
			want, found := cdp.Seq(0), false
			for k, e := range ends {
				if e.complete && e.at <= at {
					want, found = endSeq[k], true
				}
			}
			for k, w := range writes {
				if s := cdp.Seq(k + 1); w.complete && w.at <= at && (!found || s > want) {
					want, found = s, true
				}
			}
			got, when, err := g.At(time.Unix(0, at))
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
		whole := map[cdp.Seq]bool{}
		for k, e := range ends {
			whole[endSeq[k]] = whole[endSeq[k]] || e.complete
		}
		for k, w := range writes {
			whole[cdp.Seq(k+1)] = whole[cdp.Seq(k+1)] || w.complete
		}
		for s := range cdp.Seq(len(writes) + 2) {
			if got, err := g.Complete(s); err != nil || got != whole[s] {
				t.Fatalf("history %d: write %d of %d is complete: %v, want %v (%v)", i, s, len(writes), got, whole[s], err)
			}
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
