package vault

import (
	"sync"

	"tidemark.dev/pkg/cdp"
)

// View is the group's disks as they stood at one seq, read in place. It keeps
// horizon from passing its seq until it is closed. Safe for concurrent use.
type View struct {
	g  *Group
	at cdp.Seq
	// brief views are waited for, not given way to.
	brief bool
	// sparse: see Sparse.
	sparse bool

	mu   sync.Mutex
	idle []cachedReader
}

type cachedReader struct {
	Reader
	gen uint64
}

// View opens the disks as they stood at seq at. It costs nothing but look-ups,
// whatever the disks' size.
func (g *Group) View(at cdp.Seq) (*View, error) {
	if err := g.check("open view"); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.notYet("open view"); err != nil {
		return nil, err
	}
	if b := g.boundsLocked(); !b.Has(at) || at < g.leaving {
		return nil, cdp.Errorf(cdp.NotFound, "open view", "", "write %d is outside the journal (%s)", at, b).
			WithHint("list the points that can be recovered with: tidemark point list JOB")
	}
	v := &View{g: g, at: at}
	g.views[v] = struct{}{}
	return v, nil
}

// Glance calls look with the disks as they stand at head. It is for looks that
// soon end: a move of horizon, which gives way to other views, waits for it.
// During a first copy, when frames go straight into the replica, it shows what
// went there, which may be more than is durable yet.
func (g *Group) Glance(look func(*View) error) error {
	if err := g.check("look at head"); err != nil {
		return err
	}
	g.seeding.RLock()
	defer g.seeding.RUnlock()
	g.mu.Lock()
	v := &View{g: g, at: g.boundsLocked().Head, brief: true} // leaving is never past head
	if g.state.Straight {
		v.at = max(v.at, g.applied)
	}
	g.views[v] = struct{}{}
	g.mu.Unlock()
	err := look(v)
	if e := v.Close(); err == nil {
		err = e
	}
	return err
}

// At is the seq that the view shows.
func (v *View) At() cdp.Seq { return v.at }

// Sparse tells, before the first read, that whole disks will be read: where the
// replica has holes it is not read then, which takes a look before each read.
func (v *View) Sparse() *View {
	v.sparse = true
	return v
}

// Size of a disk in bytes.
func (v *View) Size(disk cdp.DiskID) int64 { return v.g.disks[disk].Size }

// Close lets horizon pass.
func (v *View) Close() error {
	v.g.mu.Lock()
	delete(v.g.views, v)
	v.g.glanced.Broadcast()
	v.g.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	var first error
	for _, r := range v.idle {
		if err := r.Close(); first == nil {
			first = err
		}
	}
	v.idle = nil
	return first
}

// leave makes sure that no view shows less than seq to, now or until left is
// called: horizon is about to pass.
func (g *Group) leave(op string, to cdp.Seq) (left func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leaving = to // from here on no view is opened that would have to be waited for
	for {
		brief, err := g.inTheWay(op, to)
		if err != nil {
			g.leaving = 0
			return nil, err
		}
		if !brief {
			break
		}
		g.glanced.Wait()
	}
	return func() {
		g.mu.Lock()
		g.leaving = 0
		g.mu.Unlock()
	}, nil
}

// inTheWay looks for views that show less than seq to; only brief ones are no
// error. The caller holds mu.
func (g *Group) inTheWay(op string, to cdp.Seq) (brief bool, err error) {
	for v := range g.views {
		if v.at >= to {
			continue
		}
		if !v.brief {
			return false, cdp.Errorf(cdp.Conflict, op, "", "an open view shows write %d", v.at)
		}
		brief = true
	}
	return brief, nil
}

func (v *View) reader() (cachedReader, error) {
	gen := v.g.gen.Load()
	v.mu.Lock()
	for len(v.idle) > 0 {
		r := v.idle[len(v.idle)-1]
		v.idle = v.idle[:len(v.idle)-1]
		if r.gen == gen {
			v.mu.Unlock()
			return r, nil
		}
		r.Close()
	}
	v.mu.Unlock()
	r, err := v.g.store.Reader()
	return cachedReader{r, gen}, err
}

func (v *View) put(r cachedReader) {
	if r.gen == v.g.gen.Load() {
		v.mu.Lock()
		if len(v.idle) < 8 {
			v.idle = append(v.idle, r)
			v.mu.Unlock()
			return
		}
		v.mu.Unlock()
	}
	r.Close()
}

// ReadAt fills p with the disk's content from off; what lies beyond the disk's
// end reads as zeros. Any offset and length will do, whole blocks are fastest.
func (v *View) ReadAt(disk cdp.DiskID, p []byte, off int64) error {
	v.g.drop.RLock()
	defer v.g.drop.RUnlock()
	if err := v.read(disk, p, off); err != nil {
		return cdp.Wrap(err, "read view", "")
	}
	return nil
}

// read is ReadAt for a caller that holds drop.
func (v *View) read(disk cdp.DiskID, p []byte, off int64) error {
	var edge [cdp.BlockSize]byte
	if k := int(off % cdp.BlockSize); k != 0 && len(p) > 0 {
		if err := v.readBlocks(disk, edge[:], off-int64(k)); err != nil {
			return err
		}
		n := copy(p, edge[k:])
		p, off = p[n:], off+int64(n)
	}
	if whole := len(p) &^ (cdp.BlockSize - 1); whole > 0 {
		if err := v.readBlocks(disk, p[:whole], off); err != nil {
			return err
		}
		p, off = p[whole:], off+int64(whole)
	}
	if len(p) > 0 {
		if err := v.readBlocks(disk, edge[:], off); err != nil {
			return err
		}
		copy(p, edge[:])
	}
	return nil
}

// readBlocks reads whole blocks, a region's worth at a time.
func (v *View) readBlocks(disk cdp.DiskID, p []byte, off int64) error {
	r := v.g.runs.Get().(*run)
	defer v.g.runs.Put(r)
	for len(p) > 0 {
		n := min(len(p), cdp.RegionSize)
		if err := r.read(v, disk, p[:n], cdp.Block(off/cdp.BlockSize)); err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}
