package journal

import (
	"path/filepath"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/engine/durable"
)

// diskUse is how the file system of the journals is used, in bytes.
type diskUse struct {
	Free   int64 // beside the reserve for failovers
	Own    int64 // the journals' files
	Others int64 // everything else
}

// roomy reports whether the disk is far from full.
func (u diskUse) roomy(reserve int64) bool {
	return u.Free >= min((u.Free+u.Own+u.Others)/2, 8*reserve)
}

// tight reports whether the disk is so full that the journals are about to stop.
func (u diskUse) tight(reserve int64) bool { return u.Free < 2*reserve }

// owed is how much history the journals give up before they stop: what a tight disk
// lacks of three reserves. What others have taken since the disk was roomy, when they
// had the given bytes, counts as free: people can free that, and history is gone for
// good.
func (u diskUse) owed(reserve, others int64) int64 {
	u.Free += max(0, u.Others-others)
	if !u.tight(reserve) {
		return 0
	}
	return 3*reserve - u.Free
}

// debt is what the journals of a disk owe by one measurement.
type debt struct {
	round int // the measurement: a journal pays its share once
	bytes int64
	own   int64 // what all journals take
}

// part is how much of its history each journal gives up, from 0 to 1.
func (d debt) part() float64 { return min(1, float64(d.bytes)/float64(max(1, d.own))) }

// diskRoom measures the disk of the journals, for all of them. It is safe for
// concurrent use. As the disk fills, the journals first drop the history that policy does
// not keep, then take in no more frames; the reserve of pebblestore.Space comes last.
type diskRoom struct {
	space   Space
	clock   clock.Clock
	reserve int64
	every   time.Duration
	path    string // of the record

	mu     sync.Mutex
	coming int64         // bytes of frames that are being stored, of all journals
	looked time.Duration // when the disk was measured last; 0: never
	debt   debt
	roomy  *roomyRecord // nil: not read yet
}

// roomyRecord is kept on disk, so that a restart does not take what others stored for
// what was always there.
type roomyRecord struct {
	Others int64 `json:"others"` // bytes, as the disk was roomy
}

func newDiskRoom(cfg Config, deps Deps) *diskRoom {
	return &diskRoom{space: deps.Space, clock: deps.Clock, reserve: cfg.Reserve, every: 30 * cfg.Beat,
		path: filepath.Join(filepath.Dir(cfg.Dir), "disk.json")}
}

// begin notes that a journal is going to store n bytes of frames; it calls end once
// they are stored. Full: they, what else is on its way, and the floors of all that
// would take more than half of the reserve.
func (d *diskRoom) begin(n int64) error {
	free, err := d.space.Free()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if free-2*(d.coming+n) < d.reserve/2 {
		return d.full(free)
	}
	d.coming += n
	return nil
}

func (d *diskRoom) end(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.coming -= n
}

// batch is how many bytes a journal stores at once, so that those of many fit.
func (d *diskRoom) batch() int64 { return d.reserve / 16 }

// room is nil as long as the reserve is free.
func (d *diskRoom) room() error {
	free, err := d.space.Free()
	if err != nil || free >= d.reserve {
		return err
	}
	return d.full(free)
}

func (d *diskRoom) full(free int64) error {
	return cdp.Errorf(cdp.Full, "store frames", "", "%d MiB are left for journals; %d MiB stay in reserve", free>>20, d.reserve>>20).
		WithHint("free space on the transporter's disk: history is not dropped to make up for what else is stored there. Or give jobs a smaller history or size limit")
}

// owes is the debt by the last measurement, which is made again when it is due. While
// the disk cannot be measured nothing is owed.
func (d *diskRoom) owes() debt {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.clock.Elapsed()
	free, err := d.space.Free()
	every := d.every
	if d.debt.bytes == 0 && (diskUse{Free: free}).tight(d.reserve) {
		every /= 10
	}
	if d.looked != 0 && now-d.looked < every {
		return d.debt
	}
	d.looked = max(1, now)
	d.debt = debt{round: d.debt.round + 1}
	if err != nil {
		return d.debt
	}
	own, others, err := d.space.Taken()
	if err != nil {
		return d.debt
	}
	u := diskUse{free, own, others}
	d.note(u)
	if d.roomy != nil {
		d.debt.bytes, d.debt.own = u.owed(d.reserve, d.roomy.Others), own
	}
	return d.debt
}

// note remembers what others take while the disk is roomy; of a disk that never was,
// what they took when it was seen first.
func (d *diskRoom) note(u diskUse) {
	if d.roomy == nil {
		if r, err := durable.ReadRecord[roomyRecord](d.path); err == nil {
			d.roomy = &r
		}
	}
	if !u.roomy(d.reserve) && (d.roomy != nil || u.tight(d.reserve)) {
		return
	}
	if d.roomy != nil && max(u.Others-d.roomy.Others, d.roomy.Others-u.Others) < d.reserve/4 {
		return
	}
	r := roomyRecord{u.Others}
	if durable.WriteRecord(d.path, r) == nil { // or the next measurement tries again
		d.roomy = &r
	}
}
