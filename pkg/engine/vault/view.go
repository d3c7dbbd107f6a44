package vault

import (
	"sync"
	"sync/atomic"

	"tidemark.dev/pkg/cdp"
)

// View is the group's disks as they were at one seq, read in place. It keeps
// horizon from passing its seq until it is closed. Safe for concurrent use.
type View struct {
	of *views
	at cdp.Seq
	// brief: a move of horizon waits for the view instead of failing.
	brief bool
	// sparse: see Sparse.
	sparse bool
	// lost: the write that it shows is not in the journal any more.
	lost atomic.Bool

	mu   sync.Mutex
	idle []cachedReader
}

type cachedReader struct {
	Reader
	gen uint64
}

// At is the seq that the view shows.
func (v *View) At() cdp.Seq { return v.at }

// Sparse, called before the first read, prepares for reading whole disks: holes of
// the replica are skipped, which costs a look-up before each read. It returns v.
func (v *View) Sparse() *View {
	v.sparse = true
	return v
}

// Disks are the disks as they were at the view's seq, by ID.
func (v *View) Disks() []cdp.Disk { return v.of.layouts.at(v.at) }

// Size of a disk in bytes.
func (v *View) Size(disk cdp.DiskID) int64 { return v.Disks()[disk].Size }

// Close ends the view: horizon may pass its seq.
func (v *View) Close() error {
	v.of.remove(v)
	return v.closeIdle()
}

// closeIdle closes the readers that no read uses: each keeps files of the store from
// being removed.
func (v *View) closeIdle() error {
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

// takeReader is a Reader of the present generation, an idle one if there is one.
func (v *View) takeReader() (cachedReader, error) {
	gen := v.of.ledger.gen.Load()
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
	r, err := v.of.store.Reader()
	return cachedReader{r, gen}, err
}

// putReader keeps r for the next read, unless it is stale.
func (v *View) putReader(r cachedReader) {
	if r.gen == v.of.ledger.gen.Load() {
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
	v.of.drop.RLock()
	defer v.of.drop.RUnlock()
	err := v.read(disk, p, off)
	if v.lost.Load() { // maybe while it was read
		err = cdp.Errorf(cdp.Corrupt, "read view", "", "write %d was lost: the journal was damaged there", v.at)
	}
	return cdp.Wrap(err, "read view", "")
}

// read is ReadAt for a caller that holds views.drop.
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
	r := v.of.reads.Get().(*blockRead)
	defer v.of.reads.Put(r)
	for len(p) > 0 {
		n := min(len(p), cdp.RegionSize)
		if err := r.read(v, disk, p[:n], cdp.Block(off/cdp.BlockSize)); err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}
