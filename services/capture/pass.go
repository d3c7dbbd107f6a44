package capture

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/dirty"
)

// pass is one snapshot and what is read from it.
//
// From the moment it is armed, before the snapshot is made, every write of a tap
// gets its place in the order, in dirty regions as well, and is noted as
// touched: the snapshot may be older than it, and older content never goes
// after newer. What is dirty is then sent as it was frozen, without the
// touched sectors. A write that has no place is left to the next pass: its region
// stays dirty whatever this pass sends.
type pass struct {
	name  string
	began time.Time

	// Guarded by order.mu.
	last    uint64 // the last ordinal with writes when it was armed
	blind   bool   // it has to find out what a tap missed before
	blinds  uint64 // taps.blinds when it was armed
	sending bool   // history is incomplete until it ends
	// settled: what it sends is known. It only shrinks from here on, so writes to
	// what is clean need no note.
	settled bool
	touched touched
	later   *dirty.Regions // missed since it was armed; nil for cbt, which sees no writes

	// Of the goroutine of passes, and set before the sweep reads them.
	at     time.Time
	devs   []Disk
	alloc  *dirty.Regions // nil: all may be allocated
	verify bool
	swept  []int64 // per disk: no note is needed before
}

// note notes a write that has its place; false when that takes too much memory.
func (p *pass) note(book *dirty.Map, d cdp.DiskID, off, n int64) bool {
	if p.settled {
		if dirty, until := book.At(d, off, off+n); !dirty && until >= off+n {
			return true
		}
	}
	return p.touched.note(d, off, n)
}

// leave leaves a range to the next pass.
func (p *pass) leave(d cdp.DiskID, off, n int64) {
	if p != nil && p.later != nil {
		p.later.Set(d, off, n)
	}
}

// leaveAll leaves everything that is dirty to the next pass.
func (p *pass) leaveAll() {
	if p != nil && p.later != nil {
		p.later.SetAll()
	}
}

// openDisks opens the disks of the snapshot.
func (p *pass) openDisks(snap Frozen, of []*disk, open func(path string, readOnly bool) (Disk, error)) error {
	const op = "open snapshot"
	if len(snap.Disks) != len(of) {
		return cdp.Errorf(cdp.Conflict, op, p.name, "the snapshot has %d disks, the job has %d", len(snap.Disks), len(of))
	}
	for i, d := range snap.Disks {
		if of[i].removed {
			p.devs = append(p.devs, nil)
			continue
		}
		dev, err := open(d.Path, true)
		if err != nil {
			return cdp.Wrap(err, op, d.Path)
		}
		p.devs = append(p.devs, dev)
		if dev.Size() < of[i].Size { // a disk that was extended is read up to the job's size
			return cdp.Errorf(cdp.Conflict, op, d.Path, "it has %d bytes, the job says %d", dev.Size(), of[i].Size)
		}
	}
	p.at = snap.At
	if p.at.IsZero() {
		p.at = p.began
	}
	return nil
}

func (p *pass) close() {
	for _, d := range p.devs {
		if d != nil {
			d.Close()
		}
	}
}
