package capture

import (
	"encoding/binary"
	"fmt"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// replay compares what the journal takes with the states of the machine.
type replay struct {
	v     *vm
	cbt   bool
	late  bool // points may lack what nobody can know of yet
	img   [][]byte
	sum   uint64
	last  int  // the newest state seen
	whole bool // the frame before was consistent
	sent  int64
	good  int
}

// see is called by the journal for each frame: a point at the end of a
// consistent frame, or after any write of one that follows another, must be a
// state the disks were in, and no older one than the point before.
func (r *replay) see(f frame.Frame) error {
	inside := r.whole && f.Has(frame.Consistent) && !f.Has(frame.ExtentStart)
	for i := range f.Records {
		x := f.Record(i)
		r.sent += int64(len(f.Data(x)))
		for at := x.Offset; at < x.End(); at += cdp.SectorSize {
			word := uint64(0)
			if x.Kind == frame.Write {
				word = binary.LittleEndian.Uint64(f.Data(x)[at-x.Offset:])
			}
			r.sum ^= put(r.img[x.Disk], int(x.Disk), at, cdp.SectorSize, word)
		}
		if inside && !r.cbt {
			if err := r.check(0); err != nil {
				return fmt.Errorf("after write %d: %w", i, err)
			}
		}
	}
	r.whole = f.Has(frame.Consistent)
	if !r.whole {
		return nil
	}
	r.good++
	if r.cbt && f.Records > 0 {
		return fmt.Errorf("a consistent frame shares %d writes with its cycle", f.Records)
	}
	if r.cbt {
		r.v.smu.Lock()
		want, ok := r.v.at[f.Sealed]
		r.v.smu.Unlock()
		if !ok || want != r.sum {
			return fmt.Errorf("a point at %v, snapshot %t, is not what its snapshot was", f.Time(), ok)
		}
	}
	if !r.cbt && !r.late && f.Has(frame.Marker) {
		return r.check(f.Sealed)
	}
	return r.check(0)
}

// check compares the state with those that the disks were in. One that is offered
// as that of a time has every write that was complete by then.
func (r *replay) check(at int64) error {
	r.v.smu.Lock()
	defer r.v.smu.Unlock()
	lacks := 0
	for _, k := range r.v.was[r.sum] {
		switch {
		case k < r.last:
		case k+1 < len(r.v.done) && r.v.done[k+1] <= at:
			lacks = k + 1
		default:
			r.last = k
			return nil
		}
	}
	if lacks > 0 {
		return fmt.Errorf("it is offered as of %v, and lacks write %d of %v", time.Unix(0, at), lacks, time.Unix(0, r.v.done[lacks]))
	}
	return fmt.Errorf("the disks were never so, or before write %d only: %v", r.last, r.v.was[r.sum])
}
