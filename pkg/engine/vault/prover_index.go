package vault

import (
	"encoding/binary"
	"hash/maphash"
	"sort"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// indexed is a frame with the sums of the entries that it should have in the index, and
// of those that it has. Entries up to horizon may have been dropped already.
//
// The sums are of a hash with a secret that is made for this run, so nobody can choose
// entries whose sum is another's.
type indexed struct {
	no          cdp.FrameNo
	first, last cdp.Seq
	want, have  entrySums
	strays      bool // the index has writes between this frame and the next
}

// entrySums are the sums of the entries up to horizon and after it.
type entrySums struct{ low, high uint64 }

func (p *prover) add(s *entrySums, e IndexEntry) {
	if e.Seq <= p.loaded.State.Horizon {
		s.low += p.hash(e)
	} else {
		s.high += p.hash(e)
	}
}

func (p *prover) hash(e IndexEntry) uint64 {
	var b [48]byte
	binary.LittleEndian.PutUint16(b[0:], uint16(e.Disk))
	if e.Whole {
		b[2] = 1
		binary.LittleEndian.PutUint64(b[8:], uint64(e.Region))
	} else {
		binary.LittleEndian.PutUint64(b[8:], uint64(e.Block))
		binary.LittleEndian.PutUint64(b[24:], uint64(e.Place.Frame))
		binary.LittleEndian.PutUint32(b[32:], e.Place.Off)
		b[3] = byte(e.Mask)
		if e.Place.Zero {
			b[4] = 1
		}
	}
	binary.LittleEndian.PutUint64(b[16:], uint64(e.Seq))
	return maphash.Bytes(p.secret, b[:])
}

// noteEntries notes what a frame should have in the index.
func (p *prover) noteEntries(t frame.Table) {
	if t.No > p.loaded.Indexed {
		return
	}
	x := indexed{no: t.No, first: t.First, last: t.Last()}
	if t.No != p.loaded.State.Cursor { // that was skipped
		entriesOf(t, 0, t.Last(), func(e IndexEntry) { p.add(&x.want, e) })
	}
	p.frames = append(p.frames, x)
}

// index compares the index with the frames: it says where the content of a block is, and
// a point reads what it says.
func (p *prover) index() error {
	if err := p.e.Entries(func(e IndexEntry) error {
		i := sort.Search(len(p.frames), func(i int) bool { return p.frames[i].first > e.Seq }) - 1
		if i < 0 {
			p.fault(p.From, "the index has write %d, which no stored frame has", e.Seq)
			return nil
		}
		x := &p.frames[i]
		if e.Seq > x.last {
			x.strays = true
		} else {
			p.add(&x.have, e)
		}
		return nil
	}); err != nil {
		if cdp.Is(err, cdp.Corrupt) {
			p.fault(p.From, "the index cannot be read: %v", err)
			return nil
		}
		return err
	}
	for _, x := range p.frames {
		if x.have.high != x.want.high || x.have.low != 0 && x.have.low != x.want.low {
			p.fault(x.no, "the index says something else of its writes than the frame")
		}
		if x.strays {
			p.fault(x.no+1, "the index has writes that no stored frame has")
		}
	}
	return nil
}
