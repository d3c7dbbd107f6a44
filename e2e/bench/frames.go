package main

import (
	"math/rand/v2"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// press makes a group's frames one after the other.
type press struct {
	slot []byte
	last frame.Header
	b    frame.Builder
}

func newPress() *press {
	p := &press{slot: make([]byte, frame.SlotSize)}
	p.b = frame.NewBuilder(p.slot)
	return p
}

// write adds one write; data nil is zeros. It returns a copy of the frame when
// that is full.
func (p *press) write(disk cdp.DiskID, off int64, data []byte, n int) []byte {
	r := frame.Record{Offset: off, Length: uint32(n), Disk: disk, Kind: frame.Write}
	if data == nil {
		r.Kind = frame.Zero
	}
	p.b.Append(r, data)
	if p.b.Full() {
		return p.seal(0)
	}
	return nil
}

// seal ends the frame that is open.
func (p *press) seal(flags frame.Flags) []byte {
	now := time.Now().UnixNano()
	h := frame.Header{Flags: flags | frame.Consistent, Epoch: 1, No: p.last.No + 1, First: p.last.Last() + 1, Prev: p.last.Hash, Opened: now, Sealed: now}
	if p.last.No == 0 {
		h.First = 1
		h.Flags |= frame.ExtentStart
	}
	f := p.b.Seal(h)
	p.last = f.Header
	p.b = frame.NewBuilder(p.slot)
	return append(make([]byte, 0, len(f.Bytes())), f.Bytes()...)
}

// random4k makes frames of writes of 4 KiB all over a disk of size bytes, with
// n bytes of payload in all, and counts the writes.
func random4k(p *press, seed uint64, size, n int64) (frames [][]byte, writes int64) {
	content := noise(16 << 20)
	rng := rand.New(rand.NewPCG(seed, 1))
	for done := int64(0); done < n; done += 4096 {
		at := int(done/4096*4160) % (len(content) - 4096)
		if f := p.write(0, rng.Int64N(size/4096)*4096, content[at:at+4096], 4096); f != nil {
			frames = append(frames, f)
		}
		writes++
	}
	if p.b.Records() > 0 {
		frames = append(frames, p.seal(0))
	}
	return frames, writes
}

// inOrder makes frames that write a whole disk once, from its beginning.
func inOrder(p *press, size int64) (frames [][]byte) {
	content := noise(1<<20 + 4096)
	for off := int64(0); off < size; off += 64 << 10 {
		if f := p.write(0, off, content[off>>16%4096:][:64<<10], 64<<10); f != nil {
			frames = append(frames, f)
		}
	}
	if p.b.Records() > 0 {
		frames = append(frames, p.seal(0))
	}
	return frames
}

// atRandom makes frames that write n bytes of a disk, no place twice, in pages
// all over it.
func atRandom(p *press, size, n, page int64) (frames [][]byte) {
	content := noise(1<<20 + 4096)
	rng := rand.New(rand.NewPCG(5, 5))
	for i, at := range rng.Perm(int(size / page))[:n/page] {
		if f := p.write(0, int64(at)*page, content[i%4096:][:page], int(page)); f != nil {
			frames = append(frames, f)
		}
	}
	if p.b.Records() > 0 {
		frames = append(frames, p.seal(0))
	}
	return frames
}
