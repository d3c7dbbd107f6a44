package pebblestore

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
	"tidemark.dev/pkg/engine/vault/vaulttest"
	"tidemark.dev/pkg/seedtest"
)

func keyOf(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func publicOf(n byte) frame.PublicKey {
	return frame.PublicKey(keyOf(n).Public().(ed25519.PublicKey))
}

var provenDisks = []cdp.Disk{{ID: 0, Name: "a", Size: cdp.RegionSize}}

// signedJournal makes the journal of a group in dir: 40 frames, of which every fourth is
// a signed point. Its base is at 20, its horizon at 8.
func signedJournal(t *testing.T, dir string) {
	t.Helper()
	db := mustOpen(t, dir)
	s, err := db.Group("g", provenDisks)
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(t.Context(), provenDisks, s, vaulttest.NewMemReplica(provenDisks), vault.Config{TailEntries: 16})
	if err != nil {
		t.Fatal(err)
	}
	m := vaulttest.NewModel(provenDisks)
	m.Sign = frame.NewSigner(keyOf(1), "g")
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 5))
	for no := 1; no <= 40; no++ {
		flags := frame.Consistent
		if no == 1 {
			flags |= frame.ExtentStart
		}
		if no%4 == 0 {
			flags |= frame.Marker
		}
		// A write of its own in each, so that each has content that can be changed.
		f, verdict, why, err := v.Offer(m.Frame(flags, 1, int64(no), m.RandomWrite(rng), vaulttest.ModelWrite{Off: int64(no) * 512, Len: 512}))
		if err != nil || verdict != admission.Accept {
			t.Fatal(verdict, why, err)
		}
		b, err := v.Prepare([]frame.Frame{f})
		if err == nil {
			_, err = b.Commit()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Raise(t.Context(), 40); err != nil {
		t.Fatal(err)
	}
	if err := v.Retain(t.Context(), 16); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// forger changes a journal as somebody does who can write its files, and knows them well.
type forger struct {
	t *testing.T
	g *Group
}

func (f forger) set(k, v []byte) {
	f.t.Helper()
	db := f.g.s.use()
	defer db.done()
	if err := db.Set(k, v, pebble.Sync); err != nil {
		f.t.Fatal(err)
	}
}

// seal puts another frame in the place of no, with other content, which continues hash
// prev; it returns its hash.
func (f forger) seal(no cdp.FrameNo, prev *frame.Hash, sign frame.Signer) frame.Hash {
	f.t.Helper()
	b := frame.NewBuilder(make([]byte, frame.SlotSize))
	var h frame.Header
	if err := f.g.Frames(no, no, func(t frame.Table, payload []byte) error {
		h = t.Header
		for i := range t.Records {
			r := t.Record(i)
			if r.Kind == frame.Zero {
				b.Append(r, nil)
				continue
			}
			data := bytes.Clone(payload[r.PayloadOff:][:r.Length])
			data[7] ^= 1
			b.Append(r, data)
		}
		return nil
	}); err != nil {
		f.t.Fatal(err)
	}
	if prev != nil {
		h.Prev = *prev
	}
	if !h.Has(frame.Marker) {
		sign = nil
	}
	sealed := b.SealSigned(h, sign)
	if err := f.g.rows(sealed, func(k, v1, v2 []byte) error { f.set(k, slices.Concat(v1, v2)); return nil }); err != nil {
		f.t.Fatal(err)
	}
	return sealed.Hash
}

// rewrite makes history from frame no on anew.
func (f forger) rewrite(no cdp.FrameNo, sign frame.Signer) {
	prev := f.seal(no, nil, sign)
	for no++; no <= 40; no++ {
		prev = f.seal(no, &prev, sign)
	}
}

// A journal proves itself to somebody who has its source's key, with nothing running.
// Whatever is changed in its frames, points and index is found, by frame and point.
func TestAJournalIsProvenAndWhoeverChangesItIsFoundOut(t *testing.T) {
	whole := t.TempDir()
	signedJournal(t, whole)
	before := filesOf(t, filepath.Join(whole, "g"))
	p := prove(t, whole, publicOf(1))
	if p.Err() != nil || p.Proven != 40 || p.To != 40 || p.From < 2 || p.Points < 8 || len(p.Unsigned) != 0 {
		t.Fatalf("a whole journal: %+v, %v", p, p.Err())
	}
	if after := filesOf(t, filepath.Join(whole, "g")); !maps.Equal(before, after) {
		t.Fatalf("it was changed: %v, then %v", before, after)
	}
	if p := prove(t, whole, publicOf(2)); p.Err() == nil || !strings.Contains(p.Faults[0].What, publicOf(1).String()) {
		t.Errorf("with the key of another source: %+v", p)
	}
	for name, c := range map[string]struct {
		forge func(f forger)
		frame cdp.FrameNo
		point string
		what  string
	}{
		"the content of a frame": {func(f forger) {
			f.set(f.g.frameKey(nil, 22, 1), bytes.Repeat([]byte{7}, f.payload(22)))
		}, 22, "p24", "not what the source sealed"},
		"a frame, with all its sums": {func(f forger) { f.seal(22, nil, nil) }, 23, "p24", "does not continue"},
		"a point's frame":            {func(f forger) { f.seal(24, nil, frame.NewSigner(keyOf(2), "g")) }, 24, "p24", "signed with the key"},
		"all history since":          {func(f forger) { f.rewrite(22, nil) }, 0, "p24", "history is proven up to frame 20"},
		"all, signed by somebody":    {func(f forger) { f.rewrite(22, frame.NewSigner(keyOf(2), "g")) }, 24, "p24", "none of its source's"},
		"all, signed for another":    {func(f forger) { f.rewrite(22, frame.NewSigner(keyOf(1), "h")) }, 24, "p24", "does not fit it"},
		"a frame is gone": {func(f forger) {
			if err := f.g.clearRange(22, 23); err != nil {
				f.t.Fatal(err)
			}
		}, 22, "p24", "missing"},
		"the write of a point":       {func(f forger) { f.editPoint(24, func(p *cdp.Point) { p.Seq-- }) }, 24, "p24", "listed as write 47"},
		"a point that never was":     {func(f forger) { f.editPoint(24, func(p *cdp.Point) { p.Frame, p.Seq = 23, 46 }) }, 23, "p23", "no recovery point"},
		"where a block's content is": {func(f forger) { f.bend(44) }, 22, "p24", "the index says something else"},
		"a write before all": {func(f forger) {
			f.set(f.g.seqKey(nil, kindIndex, 0, 3, 2), make([]byte, 14))
		}, 0, "", "which no stored frame has"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			db := mustOpen(t, dir)
			g, err := db.Group("g", provenDisks)
			if err != nil {
				t.Fatal(err)
			}
			c.forge(forger{t, g})
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			p := prove(t, dir, publicOf(1))
			err = p.Err()
			if err == nil || cdp.HintOf(err) == "" || !strings.Contains(err.Error(), c.what) || !strings.Contains(err.Error(), c.point) {
				t.Fatalf("%v; %+v", err, p)
			}
			if c.frame != 0 && (p.Faults[0].Frame != c.frame || p.Faults[0].Point != c.point) {
				t.Errorf("the first fault is %+v", p.Faults[0])
			}
		})
	}
}

func (f forger) payload(no cdp.FrameNo) (n int) {
	f.t.Helper()
	if err := f.g.Tables(no, no, func(t frame.Table) error { n = t.PayloadLen; return nil }); err != nil {
		f.t.Fatal(err)
	}
	return n
}

// clearRange removes frames without a trace.
func (g *Group) clearRange(from, to cdp.FrameNo) error {
	db := g.s.use()
	defer db.done()
	return db.DeleteRange(g.frameKey(nil, from, 0), g.frameKey(nil, to, 0), pebble.Sync)
}

func (f forger) editPoint(no cdp.FrameNo, edit func(*cdp.Point)) {
	f.t.Helper()
	if err := f.g.Points(func(p cdp.Point) error {
		if p.Frame == no {
			edit(&p)
			raw, err := json.Marshal(p)
			f.set(be.AppendUint64(f.g.key(nil, kindPoint), uint64(p.Frame)), raw)
			return err
		}
		return nil
	}); err != nil {
		f.t.Fatal(err)
	}
}

// bend has the index say that a write's content is somewhere else.
func (f forger) bend(seq cdp.Seq) {
	f.t.Helper()
	if err := f.g.Entries(func(e vault.IndexEntry) error {
		if e.Seq == seq && !e.Whole {
			f.set(f.g.seqKey(nil, kindIndex, e.Disk, uint64(e.Block), seq), append(be.AppendUint32(be.AppendUint64(nil, 21), 0), byte(e.Mask), 0))
		}
		return nil
	}); err != nil {
		f.t.Fatal(err)
	}
}

// prove verifies the journal in dir with a source's key.
func prove(t *testing.T, dir string, key frame.PublicKey) (p vault.Proof) {
	t.Helper()
	if err := Read(dir, "g", func(e vault.Evidence) (err error) {
		p, err = vault.Prove(e, "g", []frame.PublicKey{key})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return p
}
