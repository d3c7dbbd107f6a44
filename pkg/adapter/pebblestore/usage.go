package pebblestore

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/vault"
)

const (
	// mostManifest is from which size on a manifest is begun anew, in bytes.
	mostManifest = 1 << 20
	// logs is how many logs of a memory table's size there may be: those that are not
	// written out yet, those that are kept to be written again, and room for a table.
	logs = 8
	// mostWork is what a compaction, and the tables of the one before that are not
	// removed yet, take beside what is kept, in bytes.
	mostWork = 192 << 20
	// pieceOfReclaim is how many bytes Reclaim rewrites at a time.
	pieceOfReclaim = 64 << 20
)

// Usage is the space that the group takes on disk.
func (g *Group) Usage(oldest, behind cdp.FrameNo) (u vault.Usage, err error) {
	const op = "measure group"
	db := g.s.use()
	defer db.done()
	size := func(from, to []byte) (n int64) {
		if err == nil {
			var x uint64
			x, err = db.EstimateDiskUsage(from, to)
			n = int64(x)
		}
		return n
	}
	u.Kept = size(g.frameKey(nil, oldest, 0), g.key(nil, kindSum))
	u.Behind = size(g.frameKey(nil, behind, 0), g.key(nil, kindFrame+1))
	sums := size(g.key(nil, kindSum), g.key(nil, kindSum+1))
	if err != nil {
		return vault.Usage{}, failed(op, err)
	}
	u.OnDisk, err = g.s.onDisk()
	u.OnDisk = max(0, u.OnDisk-sums)
	u.Work = logs*int64(db.opts.MemTableSize) + 2*mostManifest + durableMost + min(2*u.Kept, mostWork)
	return u, failed(op, err)
}

// onDisk is what the files of the store take on disk, in bytes.
func (s *store) onDisk() (n int64, err error) {
	files := s.d.cfg.FS
	names, err := files.List(s.path())
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		st, err := files.Stat(files.PathJoin(s.path(), name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was removed meanwhile
		}
		if err != nil {
			return 0, err
		}
		if x, ok := st.Sys().(*syscall.Stat_t); ok {
			n += x.Blocks * 512
		} else {
			n += st.Size()
		}
	}
	return n, nil
}

// Reclaim removes the tables of dropped frames, and rewrites those that may hold
// dropped entries and floors, a part at a time. On a disk that has no room to rewrite
// any, it is Full once the tables of frames are gone.
func (g *Group) Reclaim(ctx context.Context, oldest cdp.FrameNo) error {
	const op = "reclaim space"
	db := g.s.use()
	defer db.done()
	if err := db.readyForTable(ofFlush); err != nil {
		return failed(op, err)
	}
	if oldest > 1 {
		span := pebble.KeyRange{Start: g.frameKey(nil, 0, 0), End: g.frameKey(nil, oldest, 0)}
		if err := db.Excise(ctx, span); err != nil {
			return failed(op, err)
		}
	}
	if err := db.readyForTable(ofTable); err != nil {
		return failed(op, err)
	}
	from, end := g.key(nil, kindIndex), g.key(nil, kindSum)
	levels, err := db.SSTables(pebble.WithKeyRangeFilter(from, end))
	if err != nil {
		return failed(op, err)
	}
	size := uint64(0)
	for _, t := range levels[len(levels)-1] {
		to := t.Largest.UserKey
		if size += t.Size; size < pieceOfReclaim || db.opts.Comparer.Compare(to, end) >= 0 || db.opts.Comparer.Compare(from, to) >= 0 {
			continue
		}
		if err := db.Compact(ctx, from, to, false); err != nil {
			return failed(op, err)
		}
		from, size = to, 0
	}
	err = db.Compact(ctx, from, end, false)
	if err == nil {
		err = db.failure()
	}
	return failed(op, err)
}
