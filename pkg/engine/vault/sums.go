package vault

import (
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"sync/atomic"

	"tidemark.dev/pkg/cdp"
)

// RegionSums are the checksums of a region's blocks, as far as there are any.
type RegionSums struct {
	Has [cdp.BlocksPerRegion]bool
	Sum [cdp.BlocksPerRegion]uint32
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumOf is a block's checksum: CRC-32C.
func sumOf(block []byte) uint32 { return crc32.Checksum(block, castagnoli) }

var zeroSum = sumOf(zeroBlock[:])

// blockSum is a block that was written, and its checksum.
type blockSum struct {
	blockKey
	sum uint32
}

// sums tells whether the replica's blocks are as they were written. Their
// checksums are stored with the commit that ends the step which wrote them.
//
// While a step runs, the checksums of its blocks are out of date: nothing is said
// of those. If the step is interrupted that goes on until it was done again.
type sums struct {
	store   Store
	replica Replica
	ledger  *ledger

	// steps counts the beginnings and ends of steps.
	steps  atomic.Uint64
	flight atomic.Pointer[touched] // the blocks of the running step

	mu    sync.Mutex
	known map[regionKey]*RegionSums
	bad   map[blockKey]bool // blocks that were found damaged
}

// maxSums is how many regions' checksums are kept in memory, of 1.3 KiB each.
const maxSums = 1024

// begin comes before a step changes the blocks t of the replica.
func (s *sums) begin(t touched) {
	s.flight.Store(&t)
	s.steps.Add(1)
}

// end comes once the step is committed.
func (s *sums) end(t touched) {
	s.mu.Lock()
	for k := range t {
		delete(s.known, k)
	}
	for k := range s.bad {
		if t.hasBlock(k.disk, k.b) {
			delete(s.bad, k)
		}
	}
	s.mu.Unlock()
	s.steps.Add(1)
	s.flight.Store(nil)
}

// forget is called when checksums were committed outside of a step, or may have been.
func (s *sums) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = nil
}

// on reports whether the replica is the journal's, and not being seeded.
func (s *sums) on(st State) bool { return !st.Straight && !st.Sealed && !st.Released }

// region is what is known of a region's blocks. r was opened in generation gen.
func (s *sums) region(r Reader, gen uint64, k regionKey) (*RegionSums, error) {
	if x := s.cached(k); x != nil {
		return x, nil
	}
	x := &RegionSums{}
	at, ok, err := r.Sums(k.disk, k.r, x)
	if err != nil {
		return nil, err
	}
	if !ok || at != k.r {
		*x = RegionSums{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// A step's commit raises gen before end drops the region, so this is not older.
	if s.ledger.gen.Load() == gen {
		if len(s.known) >= maxSums || s.known == nil {
			s.known = map[regionKey]*RegionSums{}
		}
		s.known[k] = x
	}
	return x, nil
}

func (s *sums) cached(k regionKey) *RegionSums {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[k]
}

// now is region with a Reader of its own, if it needs one.
func (s *sums) now(k regionKey) (x *RegionSums, err error) {
	if x := s.cached(k); x != nil {
		return x, nil
	}
	err = s.fresh(func(r Reader, gen uint64) error {
		x, err = s.region(r, gen, k)
		return err
	})
	return x, err
}

// fits reports whether p is what block b should hold, or may be, by the checksums
// of its region. Only a caller that keeps the replica from changing can rely on a
// no.
func (s *sums) fits(x *RegionSums, b cdp.Block, p []byte) bool { return s.fitsSum(x, b, sumOf(p)) }

func (s *sums) fitsSum(x *RegionSums, b cdp.Block, sum uint32) bool {
	if i := b % cdp.BlocksPerRegion; x.Has[i] {
		return x.Sum[i] == sum
	}
	return sum == zeroSum || !s.ledger.State().Summed
}

// fresh calls fn with a Reader of the present generation.
func (s *sums) fresh(fn func(r Reader, gen uint64) error) error {
	gen := s.ledger.gen.Load()
	r, err := s.store.Reader()
	if err != nil {
		return err
	}
	err = fn(r, gen)
	if e := r.Close(); err == nil {
		err = e
	}
	return err
}

// damaged looks at a block that seemed wrong once more, at a moment when nothing
// changes it, and notes it if it is damaged.
func (s *sums) damaged(disk cdp.DiskID, b cdp.Block) (bad bool, err error) {
	var block [cdp.BlockSize]byte
	for range 10 {
		n := s.steps.Load()
		if t := s.flight.Load(); t != nil && t.hasBlock(disk, b) || !s.on(s.ledger.State()) {
			return false, nil
		}
		if err := s.replica.ReadAt(disk, block[:], b.Offset()); err != nil {
			return false, err
		}
		x, err := s.now(regionKey{disk, b.Region()})
		if err != nil {
			return false, err
		}
		bad = !s.fits(x, b, block[:])
		if s.steps.Load() == n {
			if bad {
				s.note(disk, b)
			}
			return bad, nil
		}
	}
	return false, nil // it is being written over and over
}

func (s *sums) note(disk cdp.DiskID, b cdp.Block) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bad == nil {
		s.bad = map[blockKey]bool{}
	}
	if len(s.bad) < 1000 {
		s.bad[blockKey{disk, b}] = true
	}
}

// report is what was found damaged since the journal was opened, and was not
// overwritten since; nil for nothing.
func (s *sums) report(disks []cdp.Disk) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first *blockKey
	for k := range s.bad {
		if first == nil || k.disk < first.disk || k.disk == first.disk && k.b < first.b {
			first = &k
		}
	}
	if first == nil {
		return nil
	}
	blocks := "a block is"
	if n := len(s.bad); n > 1 {
		blocks = fmt.Sprintf("%d blocks are", n)
	}
	return cdp.Errorf(cdp.Corrupt, "check replica", disks[first.disk].Name, "%s not as written, the first at byte %d", blocks, first.b.Offset())
}

// damagedBlock is the error of a read that needs a damaged block.
func damagedBlock(disk cdp.DiskID, b cdp.Block) error {
	return cdp.Errorf(cdp.Corrupt, "read replica", fmt.Sprintf("disk %d", disk), "the block at byte %d is not as it was written", b.Offset()).
		WithHint("points that need this block cannot be read there; it is right again once the guest writes it, or after a new copy of the disk")
}

// dropRegion notes in u that a region holds zeros.
func (s *sums) dropRegion(u Update, k regionKey) error {
	return s.fresh(func(r Reader, _ uint64) error {
		var x RegionSums
		at, ok, err := r.Sums(k.disk, k.r, &x)
		if err != nil || !ok || at != k.r {
			return err
		}
		for i, has := range x.Has {
			if has {
				u.DropSum(k.disk, cdp.Block(k.r)*cdp.BlocksPerRegion+cdp.Block(i))
			}
		}
		return nil
	})
}

// Damage is what was found damaged in the replica and in stored frames since the journal
// was opened, and is still needed; nil for nothing.
func (g *Group) Damage() error { return errors.Join(g.sums.report(g.Disks()), g.chain.bad.report()) }
