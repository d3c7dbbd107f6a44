package frame_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
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
			for i := 0; i < len(w.data); i += 8 {
				binary.LittleEndian.PutUint64(w.data[i:], rng.Uint64())
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
	if rng.IntN(2) == 0 {
		return b.SealSigned(h, frame.NewSigner(key, "web")), ws
	}
	return b.Seal(h), ws
}

var key = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// genuine reports whether a frame is, to the last bit, what its source sealed.
func genuine(f frame.Frame) bool {
	same, known := f.Table().Proves(f.Payload())
	sig, signed := f.Table().Signature()
	return same && known && (!signed || sig.Of("web", f.Hash))
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
			if err := got.Verify(); err != nil || !genuine(got) {
				t.Fatalf("frame %d: %v; genuine: %v", i, err, genuine(got))
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
			if g, err := frame.Parse(p); err == nil && g.Verify() == nil && genuine(g) {
				t.Fatalf("frame %d: byte %d of %d changed and nobody noticed", i, at, len(p))
			}
			p[at] ^= bit
		}
	}
}

// Whoever changes a write and its checksum, too, is found out by the digest. Whoever
// makes the digest and the hash anew is found out by the signature, and so is who takes
// it from another job.
func TestAForgedFrameIsNotGenuine(t *testing.T) {
	const group = "web"
	sealed := func(content byte) frame.Frame {
		b := frame.NewBuilder(make([]byte, frame.SlotSize))
		b.Append(frame.Record{Length: 512, Kind: frame.Write}, bytes.Repeat([]byte{content}, 512))
		return b.SealSigned(frame.Header{Flags: frame.Marker | frame.Consistent, Epoch: 1, No: 1, First: 1}, frame.NewSigner(key, group))
	}
	f := sealed(1)
	sig, signed := f.Table().Signature()
	if !signed || !sig.Of(group, f.Hash) || !genuine(f) {
		t.Fatal("a frame is not genuine as it was sealed")
	}
	if sig.Of("db", f.Hash) {
		t.Error("its signature holds for another job")
	}
	// CRC-32C is linear: other content of the same checksum is easily made. Here the
	// checksum stays as it is, and only the content changes.
	if same, _ := f.Table().Proves(bytes.Repeat([]byte{2}, 512)); same {
		t.Error("other content passes for what was sealed")
	}
	if g := sealed(2); g.Hash == f.Hash || sig.Of(group, g.Hash) {
		t.Error("its signature holds for other content")
	}
}

// A frame of an older version has neither digest nor signature, and is read.
func TestAFrameWithoutASealIsRead(t *testing.T) {
	raw, err := hex.DecodeString(unsealed)
	if err != nil {
		t.Fatal(err)
	}
	f, err := frame.Parse(raw)
	if err != nil || f.Records != 1 || f.Verify() != nil {
		t.Fatalf("%+v, %v", f.Header, err)
	}
	if _, known := f.Table().Proves(f.Payload()); known {
		t.Error("it has a digest")
	}
	if _, signed := f.Table().Signature(); signed {
		t.Error("it has a signature")
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

// unsealed is a frame as versions before the digest made it.
const unsealed = "544446310100070001000000000000000100000000000000010000000000000001000000000000000100000000000000020000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000fc0b6512f8337f0bb326d99b306c6a97fb1bbe9a78235bc2871f0cda67e261160010000000000000000002000000020000000000000000000000000000000000"
