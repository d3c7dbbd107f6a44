package vaulttest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/core/history"
)

// Model is what a journal must answer, in the simplest way there is: the list
// of all writes, searched from the newest back.
type Model struct {
	Disks  []cdp.Disk
	Writes []ModelWrite // Writes[i] has seq i+1
	Frames [][]byte     // as they were sent
	Sign   frame.Signer // signs markers; nil: nobody does
	// Layouts are the disks that the writes so far show.
	Layouts history.Layouts
	last    frame.Header
	slot    []byte
}

// ModelWrite is one write of the model.
type ModelWrite struct {
	Disk cdp.DiskID
	Off  int64
	Len  int64
	Zero bool
}

// NewModel is a model of empty disks.
func NewModel(disks []cdp.Disk) *Model {
	return &Model{Disks: disks, Layouts: history.Of(disks), slot: make([]byte, frame.SlotSize)}
}

// sector is the content a write of seq gives to a sector: its seq and its place,
// so that a wrong sector shows where it came from.
func sector(seq cdp.Seq, disk cdp.DiskID, n int64) (s [cdp.SectorSize]byte) {
	binary.LittleEndian.PutUint64(s[0:], uint64(seq))
	binary.LittleEndian.PutUint64(s[8:], uint64(disk)<<48|uint64(n))
	copy(s[16:], ramp[16+int(byte(uint64(seq)+uint64(n))):])
	return s
}

// ramp counts up, byte by byte: a copy of it fills a sector faster than a loop does,
// which the race detector would watch at each byte.
var ramp = func() (r [256 + cdp.SectorSize]byte) {
	for i := range r {
		r[i] = byte(i)
	}
	return r
}()

// Sector is what sector n of a disk holds at seq at.
func (m *Model) Sector(at cdp.Seq, disk cdp.DiskID, n int64) [cdp.SectorSize]byte {
	off := n * cdp.SectorSize
	for i := int(at) - 1; i >= 0; i-- {
		w := m.Writes[i]
		if w.Disk == disk && w.Off <= off && off < w.Off+w.Len {
			if w.Zero {
				return [cdp.SectorSize]byte{}
			}
			return sector(cdp.Seq(i+1), disk, n)
		}
	}
	return [cdp.SectorSize]byte{}
}

// Frame makes the next frame of the given writes.
func (m *Model) Frame(flags frame.Flags, epoch cdp.Epoch, sealed int64, writes ...ModelWrite) []byte {
	b := frame.NewBuilder(m.slot)
	if slices.ContainsFunc(writes, func(w ModelWrite) bool { return history.Outside(m.Layouts.Newest(), w.Disk, w.Off+w.Len) }) {
		m.Layouts = append(m.Layouts, history.Layout{From: cdp.Seq(len(m.Writes) + 1), Disks: m.Disks})
	}
	for _, w := range writes {
		m.Writes = append(m.Writes, w)
		r := frame.Record{Offset: w.Off, Length: uint32(w.Len), Disk: w.Disk, Kind: frame.Zero}
		if w.Zero {
			b.Append(r, nil)
			continue
		}
		r.Kind = frame.Write
		data := make([]byte, 0, w.Len)
		for at := w.Off; at < w.Off+w.Len; at += cdp.SectorSize {
			s := sector(cdp.Seq(len(m.Writes)), w.Disk, at/cdp.SectorSize)
			data = append(data, s[:]...)
		}
		b.Append(r, data)
	}
	sign := m.Sign
	if flags&frame.Marker == 0 {
		sign = nil
	}
	f := b.SealSigned(frame.Header{Flags: flags, Epoch: epoch, No: m.last.No + 1,
		First: cdp.Seq(len(m.Writes)-len(writes)) + 1, Prev: m.last.Hash, Opened: sealed, Sealed: sealed}, sign)
	m.last = f.Header
	raw := append([]byte(nil), f.Bytes()...)
	m.Frames = append(m.Frames, raw)
	return raw
}

// GoOnAfter forgets what was sent after frame no, whose last write and hash these are: a
// new extent begins there.
func (m *Model) GoOnAfter(no cdp.FrameNo, last cdp.Seq, hash frame.Hash) {
	m.Frames, m.Writes = m.Frames[:no], m.Writes[:last]
	m.last = frame.Header{No: no, First: last + 1, Hash: hash}
}

// Grow extends a disk at its source, or adds one. The journal learns of it with the
// first write there.
func (m *Model) Grow(rng *rand.Rand) {
	m.Disks = slices.Clone(m.Disks)
	if n := len(m.Disks); n < 3 && rng.IntN(3) == 0 {
		m.Disks = append(m.Disks, cdp.Disk{ID: cdp.DiskID(n), Name: fmt.Sprintf("new%d", n), Size: (1 + rng.Int64N(200)) * cdp.SectorSize})
		return
	}
	m.Disks[rng.IntN(len(m.Disks))].Size += (1 + rng.Int64N(900)) * cdp.SectorSize
}

// hot are the blocks of each region that random writes prefer.
const hot = 5

// RandomWrite is a write that is likely to overlap others: small ones on a few
// blocks, some over block borders, some zeros, now and then a whole region.
func (m *Model) RandomWrite(rng *rand.Rand) ModelWrite {
	d := m.Disks[rng.IntN(len(m.Disks))]
	w := ModelWrite{Disk: d.ID, Zero: rng.IntN(5) == 0}
	regions := (d.Size + cdp.RegionSize - 1) / cdp.RegionSize
	at := rng.Int64N(regions) * cdp.RegionSize
	switch {
	case w.Zero && rng.IntN(3) == 0: // over one or more regions
		w.Off = max(0, at-rng.Int64N(3)*cdp.BlockSize)
		w.Len = cdp.RegionSize + rng.Int64N(20)*cdp.SectorSize
	case rng.IntN(3) > 0: // a whole block
		w.Off, w.Len = at+rng.Int64N(hot)*cdp.BlockSize, cdp.BlockSize
	default:
		w.Off = at + rng.Int64N(hot*cdp.SectorsPerBlock)*cdp.SectorSize
		w.Len = (1 + rng.Int64N(20)) * cdp.SectorSize
	}
	w.Off = min(w.Off, d.Size-cdp.SectorSize)
	w.Len = min(w.Len, d.Size-w.Off)
	return w
}

// HotRanges calls fn for the ranges worth comparing: the hot blocks, and the
// last of each region.
func (m *Model) HotRanges(fn func(disk cdp.DiskID, off, n int64)) {
	for _, d := range m.Disks {
		for at := int64(0); at < d.Size; at += cdp.RegionSize {
			end := min(d.Size, at+cdp.RegionSize)
			head := min(end-at, (hot+3)*cdp.BlockSize)
			fn(d.ID, at, head)
			if at+head < end {
				fn(d.ID, end-cdp.BlockSize, cdp.BlockSize)
			}
		}
	}
}

// Check compares what read gives at seq at with the model, over HotRanges.
func (m *Model) Check(at cdp.Seq, read func(disk cdp.DiskID, p []byte, off int64) error) error {
	buf, poison := make([]byte, (hot+3)*cdp.BlockSize), bytes.Repeat([]byte{0xEE}, (hot+3)*cdp.BlockSize)
	var wrong error
	m.HotRanges(func(disk cdp.DiskID, off, n int64) {
		if wrong != nil {
			return
		}
		p := buf[:n]
		copy(p, poison)
		if wrong = read(disk, p, off); wrong != nil {
			return
		}
		for i := int64(0); i < n; i += cdp.SectorSize {
			s := (off + i) / cdp.SectorSize
			if want := m.Sector(at, disk, s); string(want[:]) != string(p[i:i+cdp.SectorSize]) {
				wrong = fmt.Errorf("at %d disk %d sector %d holds % x, want % x", at, disk, s, p[i:i+16], want[:16])
				return
			}
		}
	})
	return wrong
}
