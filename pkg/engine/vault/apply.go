package vault

import (
	"tidemark.dev/pkg/cdp"
)

// apply writes a step's newest content to the replica, durably, and notes the
// checksums in u.
func (m *mover) apply(s step, u Update) error {
	buf := regionBuffers.Get().(*[cdp.RegionSize]byte)
	defer regionBuffers.Put(buf)
	w := runWriter{replica: m.replica, sums: u, buf: buf[:0]}
	var block [cdp.BlockSize]byte
	err := s.regions(func(ps []patch) error {
		var zeroed cdp.Seq // the newest zeroing of the whole region
		for len(ps) > 0 && ps[0].Whole {
			zeroed = ps[0].seq
			if len(ps) == 1 || !ps[1].Whole {
				if err := w.flush(); err != nil {
					return err
				}
				if err := m.replica.Zero(ps[0].Disk, int64(ps[0].Region)*cdp.RegionSize, cdp.RegionSize); err != nil {
					return err
				}
				if err := m.sums.dropRegion(u, regionKey{ps[0].Disk, ps[0].Region}); err != nil {
					return err
				}
			}
			ps = ps[1:]
		}
		for len(ps) > 0 {
			n := 1
			for n < len(ps) && ps[n].Block == ps[0].Block {
				n++
			}
			if err := m.applyBlock(&w, ps[:n], zeroed, s, block[:]); err != nil {
				return err
			}
			ps = ps[n:]
		}
		return nil
	})
	if err == nil {
		err = w.flush()
	}
	if err == nil {
		err = m.replica.Sync()
	}
	return err
}

// applyBlock writes one block: its patches, oldest first, of which those up to
// zeroed are hidden. What stays of a damaged block stays damaged: its checksum
// is made not to fit.
func (m *mover) applyBlock(w *runWriter, ps []patch, zeroed cdp.Seq, s step, block []byte) error {
	for len(ps) > 0 && ps[0].seq <= zeroed {
		ps = ps[1:]
	}
	var have cdp.Mask
	from := len(ps) // the oldest patch that still shows
	for from > 0 && have != cdp.FullMask {
		from--
		have |= ps[from].Mask
	}
	if len(ps) == 0 {
		return nil
	}
	disk, off := ps[0].Disk, ps[0].Block.Offset()
	damaged := false
	if have != cdp.FullMask {
		if err := w.flush(); err != nil { // it holds other blocks only, but order is cheap here
			return err
		}
		if err := m.replica.ReadAt(disk, block, off); err != nil {
			return err
		}
		if !s.again && zeroed == 0 {
			x, err := m.sums.now(regionKey{disk, ps[0].Block.Region()})
			if err != nil {
				return err
			}
			damaged = !m.sums.fits(x, ps[0].Block, block)
		}
	}
	for _, p := range ps[from:] {
		if p.zero {
			clearSectors(block, p.Mask)
			continue
		}
		// The patch's content is one run of sectors; set it at its place.
		first := firstSector(p.Mask) * cdp.SectorSize
		n := sectors(p.Mask) * cdp.SectorSize
		copy(block[first:first+n], s.arena[p.at:p.at+n])
	}
	if err := w.write(disk, block, off); err != nil || !damaged {
		return err
	}
	m.sums.note(disk, ps[0].Block)
	w.sums.PutSum(disk, ps[0].Block, ^sumOf(block))
	return nil
}

// runWriter joins writes of neighbouring blocks, and notes their checksums.
type runWriter struct {
	replica Replica
	sums    Update
	disk    cdp.DiskID
	off     int64
	buf     []byte
}

func (w *runWriter) write(disk cdp.DiskID, p []byte, off int64) error {
	if len(w.buf) > 0 && (disk != w.disk || off != w.off+int64(len(w.buf)) || len(w.buf)+len(p) > cap(w.buf)) {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if len(w.buf) == 0 {
		w.disk, w.off = disk, off
	}
	w.buf = append(w.buf, p...)
	for b := cdp.Block(off / cdp.BlockSize); len(p) > 0; b++ {
		w.sums.PutSum(disk, b, sumOf(p[:cdp.BlockSize]))
		p = p[cdp.BlockSize:]
	}
	return nil
}

func (w *runWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	err := w.replica.WriteAt(w.disk, w.buf, w.off)
	w.buf = w.buf[:0]
	return err
}
