package vault

import (
	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/history"
)

// floorRun is a run of blocks of one region that need floors.
type floorRun struct {
	disk  cdp.DiskID
	first cdp.Block
	n     int
	known *presence
	whole bool   // the whole region will be zeroed: only what is not zeros needs one
	p     []byte // the content, once it was read
}

// saveFloors saves the floors that the step needs. They are durable with the
// next commit, which comes before the replica is written.
func (g *Group) saveFloors(s step) error {
	r, err := g.store.Reader()
	if err != nil {
		return err
	}
	defer r.Close()
	var runs []floorRun
	size := 0
	flush := func() error {
		err := g.saveRuns(runs, size)
		runs, size = runs[:0], 0
		return err
	}
	err = s.regions(func(ps []patch) error {
		has, err := g.floorsOf(r, ps[0].Disk, ps[0].Region)
		if err != nil || has.zero {
			return err // a zero floor stands for every block that has none
		}
		for _, run := range runsOf(ps, has) {
			runs = append(runs, run)
			size += run.n * cdp.BlockSize
		}
		if size >= g.cfg.StepBytes {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		g.present = nil // what was saved of it is not known
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

// saveRuns reads what the runs' blocks hold, several at once, for they lie
// scattered, and saves it.
func (g *Group) saveRuns(runs []floorRun, size int) error {
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
			if g.replica.IsZero(r.disk, r.first.Offset(), int64(len(r.p))) {
				return nil
			}
			return g.replica.ReadAt(r.disk, r.p, r.first.Offset())
		})
	}
	if err := eg.Wait(); err != nil {
		return err
	}
	var floors []Floor
	var zeros []ZeroFloor
	for _, r := range runs {
		for i := range r.n {
			f := Floor{Disk: r.disk, Block: r.first + cdp.Block(i)}
			if p := r.p[i*cdp.BlockSize : (i+1)*cdp.BlockSize]; !AllZero(p) {
				f.Content = p
			}
			at := int(f.Block % cdp.BlocksPerRegion)
			if r.known.own.has(at) || r.whole && f.Content == nil {
				continue
			}
			floors = append(floors, f)
			r.known.own.add(f.Block)
		}
		if r.whole {
			zeros = append(zeros, ZeroFloor{r.disk, r.first.Region()})
			r.known.zero = true
		}
	}
	if err := g.store.AddFloors(floors, zeros); err != nil {
		return g.breakOn(err)
	}
	g.gen.Add(1)
	return nil
}
