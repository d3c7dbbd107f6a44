package vault

import (
	"sync"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/history"
)

// View is the group's disks as they stood at one seq, read in place. It keeps
// horizon from passing its seq until it is closed. Safe for concurrent use.
type View struct {
	g  *Group
	at cdp.Seq

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
	if b := g.boundsLocked(); !b.Has(at) {
		return nil, cdp.Errorf(cdp.NotFound, "open view", "", "write %d is outside the journal (%s)", at, b).
			WithHint("list the points that can be recovered with: tidemark point list JOB")
	}
	v := &View{g: g, at: at}
	g.views[v] = struct{}{}
	return v, nil
}

// At is the seq that the view shows.
func (v *View) At() cdp.Seq { return v.at }

// Size of a disk in bytes.
func (v *View) Size(disk cdp.DiskID) int64 { return v.g.disks[disk].Size }

// Close lets horizon pass.
func (v *View) Close() error {
	v.g.mu.Lock()
	delete(v.g.views, v)
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

// oldestView is the lowest seq that a view shows, or upTo if there is none
// below it.
func (g *Group) oldestView(upTo cdp.Seq) cdp.Seq {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for v := range g.views {
		upTo = min(upTo, v.at)
	}
	return upTo
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
	for len(p) > 0 {
		n := min(len(p), cdp.RegionSize)
		if err := v.readRun(disk, p[:n], cdp.Block(off/cdp.BlockSize)); err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// readRun reads at most BlocksPerRegion whole blocks from b on.
func (v *View) readRun(disk cdp.DiskID, p []byte, b cdp.Block) error {
	var rest [cdp.BlocksPerRegion]cdp.Mask
	n := len(p) / cdp.BlockSize
	any := false
	r, err := v.fromEntries(disk, p, b, rest[:n])
	if err != nil {
		return err
	}
	for i := range n {
		any = any || rest[i] != 0
	}
	if any {
		r, err = v.fromBelow(r, disk, p, b, rest[:n])
		if err != nil {
			return err
		}
	}
	v.put(r)
	return nil
}

// source is one run of sectors of a block that comes from a frame.
type source struct {
	at    int // offset in p
	n     int
	place history.Place
}

// fromEntries fills what the index has, and says per block which sectors are
// left.
func (v *View) fromEntries(disk cdp.DiskID, p []byte, b cdp.Block, rest []cdp.Mask) (cachedReader, error) {
	g := v.g
	reads := make([]history.Read, len(rest))
	var from []source
	var wholes [2]cdp.Seq // newest whole-region zeros at or below at, per region of the run
	take := func(i int, e history.Entry) bool {
		// A region zeroed after this write hides it.
		if w := wholes[(b+cdp.Block(i)).Region()-b.Region()]; e.Seq < w {
			return false
		}
		if m := reads[i].Take(e.Mask); m != 0 {
			from = appendSources(from, i*cdp.BlockSize, m, e)
		}
		return !reads[i].Done()
	}
	last := (b + cdp.Block(len(rest)-1)).Region()
	type found struct {
		i int
		e history.Entry
	}
	var inTail []found
	// The tails first, then a reader of the generation after: what is flushed in
	// between is seen twice, which does no harm, and not missed.
	g.mu.RLock()
	for _, t := range [...]*tail{g.active, g.flushing} {
		if t == nil {
			continue
		}
		for x := b.Region(); x <= last && len(t.wholes) > 0; x++ {
			t.wholesOf(disk, x, v.at, func(e history.Entry) bool {
				wholes[x-b.Region()] = max(wholes[x-b.Region()], e.Seq)
				return false
			})
		}
		for i := 0; i < len(rest) && len(t.blocks) > 0; i++ {
			t.entries(disk, b+cdp.Block(i), v.at, func(e history.Entry) bool {
				inTail = append(inTail, found{i, e})
				return e.Mask != cdp.FullMask
			})
		}
	}
	g.mu.RUnlock()
	r, err := v.reader()
	if err != nil {
		return r, err
	}
	anyWholes, _ := r.Any()
	if anyWholes {
		for x := b.Region(); x <= last; x++ {
			if err := r.Wholes(disk, x, v.at, func(s cdp.Seq) bool {
				wholes[x-b.Region()] = max(wholes[x-b.Region()], s)
				return false
			}); err != nil {
				return r, err
			}
		}
	}
	for _, f := range inTail { // active before flushing, each newest first
		take(f.i, f.e)
	}
	for i := range rest {
		if reads[i].Done() {
			continue
		}
		if err := r.Entries(disk, b+cdp.Block(i), v.at, func(e history.Entry) bool { return take(i, e) }); err != nil {
			return r, err
		}
	}
	for i := range rest {
		rest[i] = reads[i].Rest()
		if rest[i] != 0 && wholes[(b+cdp.Block(i)).Region()-b.Region()] != 0 {
			clearSectors(p[i*cdp.BlockSize:(i+1)*cdp.BlockSize], rest[i])
			rest[i] = 0
		}
	}
	return r, v.fetch(p, from)
}

// fetchers is how many places of the journal a long read looks at at once: they
// lie scattered, and a disk serves some reads at once better than one by one.
const fetchers = 8

// fetch fills p from the places in the journal.
func (v *View) fetch(p []byte, from []source) error {
	if len(from) <= fetchers/2 {
		return v.fetchSome(p, from)
	}
	var eg errgroup.Group
	share := (len(from) + fetchers - 1) / fetchers
	for len(from) > 0 {
		some := from[:min(share, len(from))]
		from = from[len(some):]
		eg.Go(func() error { return v.fetchSome(p, some) })
	}
	return eg.Wait()
}

func (v *View) fetchSome(p []byte, from []source) error {
	for _, s := range from {
		if s.place.Zero {
			clear(p[s.at : s.at+s.n])
		} else if err := v.g.store.Payload(s.place.Frame, s.place.Off, p[s.at:s.at+s.n]); err != nil {
			return err
		}
	}
	return nil
}

// appendSources adds the runs of sectors in m, which an entry covers, to from.
func appendSources(from []source, base int, m cdp.Mask, e history.Entry) []source {
	first := firstSector(e.Mask)
	for s := 0; s < cdp.SectorsPerBlock; {
		if m&(1<<s) == 0 {
			s++
			continue
		}
		run := s
		for s < cdp.SectorsPerBlock && m&(1<<s) != 0 {
			s++
		}
		at := base + run*cdp.SectorSize
		place := e.Place
		place.Off += uint32((run - first) * cdp.SectorSize)
		// Neighbouring blocks of one write are neighbours in its payload.
		if k := len(from) - 1; k >= 0 && from[k].at+from[k].n == at && from[k].place.Zero == place.Zero &&
			(place.Zero || from[k].place.Frame == place.Frame && from[k].place.Off+uint32(from[k].n) == place.Off) {
			from[k].n += (s - run) * cdp.SectorSize
			continue
		}
		from = append(from, source{at, (s - run) * cdp.SectorSize, place})
	}
	return from
}

// fromBelow fills the sectors left from the replica, or from floors where there
// are some. The replica is read first: see the package's word on who may run at
// once.
func (v *View) fromBelow(r cachedReader, disk cdp.DiskID, p []byte, b cdp.Block, rest []cdp.Mask) (cachedReader, error) {
	g := v.g
	var scratch [cdp.BlockSize]byte
	for i := 0; i < len(rest); {
		switch {
		case rest[i] == 0:
			i++
		case rest[i] == cdp.FullMask:
			run := i
			for i < len(rest) && rest[i] == cdp.FullMask {
				i++
			}
			if err := g.replica.ReadAt(disk, p[run*cdp.BlockSize:i*cdp.BlockSize], (b + cdp.Block(run)).Offset()); err != nil {
				return r, err
			}
		default:
			if err := g.replica.ReadAt(disk, scratch[:], (b + cdp.Block(i)).Offset()); err != nil {
				return r, err
			}
			copySectors(p[i*cdp.BlockSize:], scratch[:], rest[i])
			i++
		}
	}
	if r.gen != g.gen.Load() {
		r.Close()
		var err error
		if r, err = v.reader(); err != nil {
			return r, err
		}
	}
	if _, any := r.Any(); !any {
		return r, nil
	}
	var has [cdp.BlocksPerRegion]bool
	var zero bool
	region := cdp.Region(^uint64(0))
	for i := range rest {
		if rest[i] == 0 {
			continue
		}
		x := b + cdp.Block(i)
		if x.Region() != region {
			region = x.Region()
			var err error
			if zero, err = r.Floors(disk, region, &has); err != nil {
				return r, err
			}
		}
		dst := p[i*cdp.BlockSize : (i+1)*cdp.BlockSize]
		if has[x%cdp.BlocksPerRegion] {
			if _, err := r.Floor(disk, x, scratch[:]); err != nil {
				return r, err
			}
			copySectors(dst, scratch[:], rest[i])
		} else if zero {
			clearSectors(dst, rest[i])
		}
	}
	return r, nil
}
