package capture

import "tidemark.dev/pkg/cdp"

// join takes the place. It takes it completely, or changes nothing and must be
// called again.
func (s *sender) join(p place, epoch cdp.Epoch, fresh bool) error {
	o := s.order
	o.mu.Lock()
	defer o.mu.Unlock()
	reason := "attached"
	if p.found && p.from < o.out.win.First() {
		return cdp.Errorf(cdp.Transient, "attach", string(o.job.Group), "a frame of the window was given up meanwhile")
	}
	if !p.found {
		if why := o.loseWindow(p, s.strayed != nil); why != "" {
			reason = why
		}
		p.from = o.out.win.First()
	}
	if fresh {
		s.proven, s.tail, s.extent = 0, p.base, true
	} else if o.out.sealed < p.from {
		s.tail = p.base
	}
	o.out.put(p.from, p.base, fresh)
	o.setPlace(p, epoch)
	s.olderLast = o.out.number(o.out.win.Last())
	s.epoch, o.virgin = epoch, false
	o.why.attached = true
	o.update(reason)
	o.room.Ring() // the window may have drained, without a change of state
	return nil
}

// loseWindow gives up every frame of the window, and makes dirty what is lost
// with them. reason is "" if that is nothing.
func (o *order) loseWindow(p place, strayed bool) (reason string) {
	if open, _, _ := o.out.win.OpenFrame(); open {
		o.out.win.End(0, o.stamp())
	}
	switch {
	case p.lost == lostNothing:
	case o.job.Mode == cdp.Tap && !o.job.Frozen:
		o.taps.missAll()
		reason = "frames were lost"
	case p.lost == lostActivity:
		o.book.Lose()
		reason = "frames were lost before the journal had them"
	default:
		o.book.Lose()
		o.book.SetAll()
		switch {
		case strayed:
			reason = "frames were lost, and what the journal has instead is not known"
		case p.base.No == 0:
			reason = "the journal is empty"
		default:
			reason = "another capturer wrote in between"
		}
	}
	o.lose(p.lost)
	o.out.win.Release(o.out.win.Closed())
	return reason
}

// setPlace keeps the place in the mark, for the next process.
func (o *order) setPlace(p place, epoch cdp.Epoch) {
	m := o.book.Mark()
	if !m.Valid || p.lost == lostEverything {
		m.Origin = p.base.No
	}
	if epoch != m.Epoch {
		if epoch != m.Epoch+1 || !m.Valid {
			m.FirstEpoch = epoch
		}
		m.Epoch = epoch
	}
	m.Valid, m.No, m.Hash, m.Last = true, p.base.No, p.base.Hash, p.base.Last
	o.book.SetMark(m)
	o.book.Merge()
}

// noteBare notes, before a place is taken, that the journal is empty. It locks.
func (o *order) noteBare(empty bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.job.frozen() && empty && o.virgin && !o.job.Verify {
		o.bare = true
	}
}

// narrow limits a first seed to what is allocated, unless the target may hold something
// where nothing is allocated here. Guests may write meanwhile: their writes only set
// dirty bits. It locks.
func (o *order) narrow() {
	if o.job.Verify {
		return
	}
	o.mu.Lock()
	virgin := o.virgin
	o.virgin = false
	if virgin {
		o.book.Narrow()
	}
	o.mu.Unlock()
	if !virgin {
		return
	}
	for _, d := range o.disks {
		for off := int64(0); off < d.Size; {
			for _, e := range d.dev.Status(off, d.Size-off) {
				if !e.Zero {
					o.book.Set(d.ID, off, min(e.Length, d.Size-off))
				}
				if off += e.Length; off >= d.Size {
					break
				}
			}
		}
	}
	o.book.Narrowed()
}
