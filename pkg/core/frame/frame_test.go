package frame_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/seedtest"
)

type write struct {
	frame.Record
	data []byte
}

func random(rng *rand.Rand, slot []byte) (frame.Frame, []write) {
	b := frame.NewBuilder(slot)
	var ws []write
	for n := rng.IntN(40); n > 0 && !b.Full(); n-- {
		w := write{Record: frame.Record{Offset: rng.Int64N(1<<30) * 512, Length: uint32(1+rng.IntN(64)) * 512,
			Disk: cdp.DiskID(rng.IntN(4)), Kind: frame.Write, Micros: rng.Uint32()}}
		if rng.IntN(4) == 0 {
			w.Kind = frame.Zero
			w.Length *= 1000
			b.Append(w.Record, nil)
		} else {
			w.data = make([]byte, w.Length)
			for i := range w.data {
				w.data[i] = byte(rng.Uint32())
			}
			if rng.IntN(2) == 0 { // filled in place, as capture does
				copy(b.Next(len(w.data)), w.data)
				b.Append(w.Record, b.Next(len(w.data)))
			} else {
				b.Append(w.Record, w.data)
			}
		}
		ws = append(ws, w)
	}
	h := frame.Header{Flags: frame.Flags(rng.IntN(16)), Epoch: cdp.Epoch(rng.Uint64()), No: 1 + cdp.FrameNo(rng.Uint64N(1<<60)),
		First: 1 + cdp.Seq(rng.Uint64N(1<<60)), Opened: rng.Int64(), Sealed: rng.Int64()}
	for i := range h.Prev {
		h.Prev[i] = byte(rng.Uint32())
	}
	return b.Seal(h), ws
}

// What was put into a frame comes out of it, also when it is sealed again with
// another header, or restored from the memory of a process that died.
func TestAFrameGivesBackWhatWasPutIn(t *testing.T) {
	seed := seedtest.Seed(t)
	slot := make([]byte, frame.SlotSize)
	for i := range 300 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		f, ws := random(rng, slot)
		check := func(f frame.Frame) {
			t.Helper()
			got, err := frame.Parse(bytes.Clone(f.Bytes()))
			if err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
			if err := got.Verify(); err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
			if got.Header != f.Header || got.Records != len(ws) {
				t.Fatalf("frame %d: header %+v, want %+v", i, got.Header, f.Header)
			}
			for k, w := range ws {
				r := got.Record(k)
				if r.Offset != w.Offset || r.Length != w.Length || r.Disk != w.Disk || r.Kind != w.Kind || r.Micros != w.Micros || !bytes.Equal(got.Data(r), w.data) {
					t.Fatalf("frame %d record %d: %+v, want %+v", i, k, r, w.Record)
				}
			}
		}
		check(f)
		b := frame.Restore(slot, f.Records, f.PayloadLen)
		h := f.Header
		h.Epoch, h.No = h.Epoch+1, h.No+7
		again := b.Seal(h)
		if again.Hash == f.Hash {
			t.Fatal("another header, the same hash")
		}
		check(again)
	}
}

// No single damaged bit goes unnoticed.
func TestADamagedBitIsNoticed(t *testing.T) {
	seed := seedtest.Seed(t)
	slot := make([]byte, frame.SlotSize)
	for i := range 20 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		f, _ := random(rng, slot)
		p := bytes.Clone(f.Bytes())
		for range 100 {
			at, bit := rng.IntN(len(p)), byte(1)<<rng.IntN(8)
			p[at] ^= bit
			if g, err := frame.Parse(p); err == nil && g.Verify() == nil {
				t.Fatalf("frame %d: byte %d of %d changed and nobody noticed", i, at, len(p))
			}
			p[at] ^= bit
		}
	}
}

// FuzzParse: no bytes make the decoder panic or give a record outside the frame.
func FuzzParse(f *testing.F) {
	slot := make([]byte, frame.SlotSize)
	seed := seedtest.Seed(f)
	for i := range 5 {
		fr, _ := random(rand.New(rand.NewPCG(seed, uint64(i))), slot)
		f.Add(bytes.Clone(fr.Bytes()))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		fr, err := frame.Parse(p)
		if err != nil {
			if !cdp.Is(err, cdp.Corrupt) {
				t.Fatalf("error of kind %s: %v", cdp.KindOf(err), err)
			}
			return
		}
		for i := range fr.Records {
			if r := fr.Record(i); len(fr.Data(r)) != 0 && len(fr.Data(r)) != int(r.Length) {
				t.Fatalf("record %d has %d bytes of %d", i, len(fr.Data(r)), r.Length)
			}
		}
		if err := fr.Verify(); err == nil && !bytes.Equal(fr.Bytes(), p) {
			t.Fatal("not the bytes that were parsed")
		}
	})
}

func BenchmarkAppend4K(b *testing.B) {
	slot := make([]byte, frame.SlotSize)
	data := make([]byte, 4096)
	b.SetBytes(4096)
	b.ReportAllocs()
	fb := frame.NewBuilder(slot)
	for i := 0; b.Loop(); i++ {
		if fb.Full() {
			fb.Seal(frame.Header{No: 1, First: 1})
			fb = frame.NewBuilder(slot)
		}
		fb.Append(frame.Record{Offset: int64(i%1000) * 4096, Length: 4096, Kind: frame.Write}, data)
	}
}
