package vault

import (
	"context"
	"slices"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// seed takes frames in before a group's first recovery point. Until then nothing
// can be recovered, and a seed is long, so its frames are not kept. A batch is
// written into the replica, the replica is made durable, and of the frames only
// the newest's header stays, as the cursor. After a crash the replica may be
// ahead of the cursor; the frames after it come again, in order, and all of them
// come before the first consistent one. So the replica is right when that one
// comes, and not before: State.Straight says so, and nothing can be looked at
// until then.
//
// The very first frame is stored before the replica is touched: a capturer that
// finds an empty journal may believe that the replica is empty, too.
type seed struct {
	store   Store
	replica Replica
	ledger  *ledger
	mover   *mover
	allowed bool // Config.Straight

	// straight: everything prepared so far went into the replica. It belongs to
	// the goroutine that calls Prepare.
	straight bool
	// underway are the batches that were applied and not committed yet.
	underway sync.WaitGroup

	// applying is held while frames go into the replica, and for reading by a
	// Glance. It is taken after mover.mu and before all other locks.
	applying sync.RWMutex
	applied  cdp.Seq // the last write that went there
}

// load takes over what the store holds. The caller holds mover.mu, or nobody else
// has the journal yet.
func (s *seed) load(found Loaded, noPoints bool) {
	empty := found.Newest == nil && found.State == (State{})
	s.straight = s.allowed && noPoints &&
		(empty || found.State.Straight && found.Newest != nil && found.State.Cursor == found.Newest.No)
	s.applying.Lock()
	defer s.applying.Unlock()
	s.applied = 0
	if found.Newest != nil {
		s.applied = found.Newest.Last()
	}
}

// takes reports whether frames need not be kept. Once some had to be kept the
// rest has to, for the index must be empty.
func (s *seed) takes(frames []frame.Frame) bool { return s.straight && !anyConsistent(frames) }

func anyConsistent(frames []frame.Frame) bool {
	return slices.ContainsFunc(frames, func(f frame.Frame) bool { return f.Has(frame.Consistent) })
}

// end comes before frames that are kept: what went straight is durable first.
func (s *seed) end() error {
	s.straight = false
	s.underway.Wait()
	return s.ledger.check("end seed")
}

// finish ends the seed if a consistent frame is stored: base and horizon move to
// the first of them, so that the replica is what they say, and can be looked at.
// The caller holds mover.mu.
func (s *seed) finish(ctx context.Context) error {
	if !s.ledger.State().Straight {
		return nil
	}
	var at cdp.Seq
	found := false
	oldest, newest := s.ledger.span()
	err := s.store.Tables(oldest, newest, func(t frame.Table) error {
		if !t.Has(frame.Consistent) {
			return nil
		}
		at, found = t.Last(), true
		return errStop
	})
	if err != nil && err != errStop || !found {
		return err
	}
	if err := s.mover.raiseTo(ctx, at, true); err != nil {
		return err
	}
	st := s.ledger.State()
	st.Horizon, st.Straight = max(st.Horizon, at), false
	return s.ledger.commit(s.store.Begin(), st)
}

// apply writes frames into the replica. The next may be written while these are
// made durable: nothing can be looked at anyway. After a success the caller calls
// commit with the checksums of what was written.
func (s *seed) apply(frames []frame.Frame) ([]blockSum, error) {
	const op = "seed replica"
	if err := s.ledger.check(op); err != nil {
		return nil, err
	}
	if !s.ledger.State().Straight {
		if err := s.begin(frames[:1]); err != nil {
			return nil, cdp.Wrap(err, op, "")
		}
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	var sums []blockSum
	for _, f := range frames {
		var err error
		if sums, err = s.write(f, sums); err != nil {
			return nil, s.ledger.breakOn(cdp.Wrap(err, op, ""))
		}
		s.applied = f.Last()
	}
	s.underway.Add(1)
	return sums, nil
}

// begin stores the first frame as any other, and that the replica is about to
// change.
func (s *seed) begin(first []frame.Frame) error {
	s.mover.mu.Lock()
	defer s.mover.mu.Unlock()
	if s.ledger.Stored().No == 0 {
		p, err := s.store.Prepare(first)
		if err == nil {
			err = p.Begin()
		}
		if err == nil {
			err = p.Commit()
		}
		if err != nil {
			return s.ledger.breakOn(err)
		}
		// Head does not move yet: with base below head policy would move base, and
		// write the frame again over those that came after it.
	}
	st := s.ledger.State()
	st.Straight = true
	if err := s.ledger.commit(s.store.Begin(), st); err != nil {
		return s.ledger.breakOn(err) // the first frame is stored
	}
	return nil
}

// commit returns once frames that were applied are durable there, and the newest
// is the cursor.
func (s *seed) commit(frames []frame.Frame, sums []blockSum) error {
	const op = "seed replica"
	defer s.underway.Done()
	if err := s.ledger.check(op); err != nil {
		return err
	}
	if err := s.replica.Sync(); err != nil {
		return s.ledger.breakOn(cdp.Wrap(err, op, ""))
	}
	s.mover.mu.Lock()
	defer s.mover.mu.Unlock()
	newest := frames[len(frames)-1]
	st := s.ledger.State()
	st.Horizon, st.Base, st.Moving = newest.Last(), newest.Last(), newest.Last()
	st.Cursor = newest.No
	u := s.store.Begin()
	u.SkipTo(newest)
	for _, b := range sums {
		u.PutSum(b.disk, b.b, b.sum)
	}
	if err := s.ledger.commit(u, st); err != nil {
		return s.ledger.breakOn(err) // what comes after must not be committed without this
	}
	s.mover.sums.forget()
	s.ledger.skip(frames)
	return nil
}

// write writes a frame into the replica, in its order, and adds the checksums of the
// blocks it touched to sums.
func (s *seed) write(f frame.Frame, sums []blockSum) ([]blockSum, error) {
	payload := f.Payload()
	for i := range f.Records {
		r := f.Record(i)
		var content []byte
		var err error
		if r.Kind == frame.Zero {
			err = s.replica.Zero(r.Disk, int64(r.Offset), int64(r.Length))
		} else {
			content = payload[r.PayloadOff : r.PayloadOff+r.Length]
			err = s.replica.WriteAt(r.Disk, content, int64(r.Offset))
		}
		if err == nil {
			sums, err = s.sumsOf(r, content, sums)
		}
		if err != nil {
			return nil, err
		}
	}
	return sums, nil
}

// sumsOf adds the checksums of a record's blocks to sums. A block of which the
// record is only a part is read.
func (s *seed) sumsOf(r frame.Record, content []byte, sums []blockSum) ([]blockSum, error) {
	off, end := int64(r.Offset), int64(r.Offset)+int64(r.Length)
	for b := cdp.Block(off / cdp.BlockSize); b.Offset() < end; b++ {
		sum := zeroSum
		switch at := b.Offset() - off; {
		case at < 0 || at+cdp.BlockSize > int64(r.Length):
			var block [cdp.BlockSize]byte
			if err := s.replica.ReadAt(r.Disk, block[:], b.Offset()); err != nil {
				return nil, err
			}
			sum = sumOf(block[:])
		case content != nil:
			sum = sumOf(content[at : at+cdp.BlockSize])
		}
		sums = append(sums, blockSum{blockKey{r.Disk, b}, sum})
	}
	return sums, nil
}
