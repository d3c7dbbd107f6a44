package vault

import (
	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/history"
)

// floors saves floors and remembers which blocks have one, since moves up look
// that up again and again. Only moves use it: they hold mover.mu.
type floors struct {
	store   Store
	replica Replica
	ledger  *ledger
	sums    *sums
	most    int // bytes of content saved at once
	known   map[regionKey]*presence
}

// presence is which blocks of a region have floors.
type presence struct {
	own  blockSet // floors of their own
	zero bool     // the region has a zero floor
}

// maxKnown is how many regions' presence is remembered: a few MiB.
const maxKnown = 1 << 15

// of is which blocks of a region have floors.
func (f *floors) of(r Reader, disk cdp.DiskID, x cdp.Region) (*presence, error) {
	k := regionKey{disk, x}
	if p := f.known[k]; p != nil {
		return p, nil
	}
	var has [cdp.BlocksPerRegion]bool
	if err := r.Floors(disk, cdp.Block(x)*cdp.BlocksPerRegion, has[:]); err != nil {
		return nil, err
	}
	p := &presence{}
	for i, h := range has {
		if h {
			p.own.add(cdp.Block(i))
		}
	}
	var err error
	if p.zero, err = r.ZeroFloor(disk, x); err != nil {
		return nil, err
	}
	if len(f.known) >= maxKnown || f.known == nil {
		f.known = map[regionKey]*presence{}
	}
	f.known[k] = p
	return p, nil
}

// forget is called when floors of the touched regions were dropped, or
// may have been.
func (f *floors) forget(t touched) {
	for k := range t {
		delete(f.known, k)
	}
}

func (f *floors) forgetAll() { f.known = nil }

// floorRun is a run of blocks of one region that need floors.
type floorRun struct {
	disk  cdp.DiskID
	first cdp.Block
	n     int
	known *presence
	whole bool   // the whole region will be zeroed: only blocks with data need one
	p     []byte // the content, once it was read
}

// save saves the floors that the step needs. They are durable with the next
// commit, which comes before the replica is written.
func (f *floors) save(s step) error {
	gen := f.ledger.gen.Load()
	r, err := f.store.Reader()
	if err != nil {
		return err
	}
	defer r.Close()
	var runs []floorRun
	size := 0
	flush := func() error {
		err := f.saveRuns(r, gen, runs, size, s.again)
		runs, size = runs[:0], 0
		return err
	}
	err = s.regions(func(ps []patch) error {
		has, err := f.of(r, ps[0].Disk, ps[0].Region)
		if err != nil || has.zero {
			return err // a zero floor is that of every block without its own
		}
		for _, run := range runsOf(ps, has) {
			runs = append(runs, run)
			size += run.n * cdp.BlockSize
		}
		if size >= f.most {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		f.forgetAll() // it is unknown which were saved
	}
	return err
}

// runsOf are the runs of blocks of one region that need floors before the
// patches are applied.
func runsOf(ps []patch, has *presence) (runs []floorRun) {
	if ps[0].Whole {
		return []floorRun{{disk: ps[0].Disk, first: cdp.Block(ps[0].Region) * cdp.BlocksPerRegion, n: cdp.BlocksPerRegion, known: has, whole: true}}
	}
	need := func(b cdp.Block) bool {
		return history.BeforeApply(has.own.has(int(b%cdp.BlocksPerRegion))) == history.SaveFloor
	}
	for i := 0; i < len(ps); {
		if !need(ps[i].Block) {
			i++
			continue
		}
		first, last := ps[i].Block, ps[i].Block
		for i < len(ps) && ps[i].Block <= last+1 && need(ps[i].Block) {
			last = ps[i].Block
			i++
		}
		runs = append(runs, floorRun{disk: ps[0].Disk, first: first, n: int(last - first + 1), known: has})
	}
	return runs
}

// saveRuns reads what the runs' blocks hold, several in parallel, and saves it; of
// a damaged block, that it is damaged. Again: the replica may hold some of the
// step, and nothing is said of its blocks.
func (f *floors) saveRuns(rd Reader, gen uint64, runs []floorRun, size int, again bool) error {
	if len(runs) == 0 {
		return nil
	}
	buf := make([]byte, size)
	var eg errgroup.Group
	eg.SetLimit(fetchers)
	for i := range runs {
		r := &runs[i]
		r.p, buf = buf[:r.n*cdp.BlockSize], buf[r.n*cdp.BlockSize:]
		eg.Go(func() error {
			if f.replica.IsZero(r.disk, r.first.Offset(), int64(len(r.p))) {
				return nil
			}
			return f.replica.ReadAt(r.disk, r.p, r.first.Offset())
		})
	}
	if err := eg.Wait(); err != nil {
		return err
	}
	var own []Floor
	var zeros []ZeroFloor
	for _, r := range runs {
		sums, err := f.sums.region(rd, gen, regionKey{r.disk, r.first.Region()})
		if err != nil {
			return err
		}
		for i := range r.n {
			x := Floor{Disk: r.disk, Block: r.first + cdp.Block(i)}
			at := int(x.Block % cdp.BlocksPerRegion)
			if r.known.own.has(at) {
				continue
			}
			p := r.p[i*cdp.BlockSize : (i+1)*cdp.BlockSize]
			if x.Damaged = !again && !f.sums.fits(sums, x.Block, p); !x.Damaged && !AllZero(p) {
				x.Content = p
			}
			if r.whole && x.Content == nil && !x.Damaged {
				continue
			}
			own = append(own, x)
			r.known.own.add(x.Block)
		}
		if r.whole {
			zeros = append(zeros, ZeroFloor{r.disk, r.first.Region()})
			r.known.zero = true
		}
	}
	if err := f.store.AddFloors(own, zeros); err != nil {
		f.forgetAll() // they were noted above
		return f.ledger.breakUnlessFull(err)
	}
	f.ledger.gen.Add(1)
	return nil
}
