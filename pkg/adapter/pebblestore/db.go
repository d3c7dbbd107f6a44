package pebblestore

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
)

// Options are the database's settings; zero values mean the defaults.
type Options struct {
	// FS is the file system of the database. Default the machine's.
	FS vfs.FS
	// CacheBytes is the size of the block cache. Default 32 MiB.
	CacheBytes int64
	// MemTableBytes is how much the log holds before it is written out; at most two
	// such tables are in memory. Default 32 MiB.
	MemTableBytes uint64
	// BulkBytes is from which size a batch of frames is written as a sorted
	// table instead of through the log. Default 2 MiB.
	BulkBytes int
	// Trouble is called with failures in the background, such as a full disk, that
	// Pebble retries. It may be called from any goroutine.
	Trouble func(error)
}

// DB is the database of one transporter.
type DB struct {
	dir    string
	db     *pebble.DB
	opts   *pebble.Options
	cfg    Options
	direct bool
	bulkNo atomic.Uint64
	chunks *sync.Pool

	mu      sync.Mutex
	nextNum uint32
	groups  map[cdp.GroupID]GroupInfo
}

// GroupInfo is what the database knows of a group.
type GroupInfo struct {
	ID    cdp.GroupID `json:"id"`
	Num   uint32      `json:"num"`
	Disks []cdp.Disk  `json:"disks"`
}

const bulkPrefix = "bulk-"

// Open opens or creates the database in dir.
func Open(dir string, cfg Options) (*DB, error) {
	const op = "open journal store"
	if cfg.FS == nil {
		cfg.FS = vfs.Default
	}
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 32 << 20
	}
	if cfg.MemTableBytes == 0 {
		cfg.MemTableBytes = 32 << 20
	}
	if cfg.BulkBytes == 0 {
		cfg.BulkBytes = 2 << 20
	}
	if cfg.Trouble == nil {
		cfg.Trouble = func(error) {}
	}
	if err := cfg.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: dir, Cause: err}
	}
	d := &DB{dir: dir, cfg: cfg, chunks: newChunks(), groups: map[cdp.GroupID]GroupInfo{}, direct: cfg.FS == vfs.Default && probeDirect(dir)}
	cache := pebble.NewCache(cfg.CacheBytes)
	defer cache.Unref()
	d.opts = &pebble.Options{
		FS:                          cfg.FS,
		FormatMajorVersion:          pebble.FormatNewest,
		Cache:                       cache,
		MemTableSize:                cfg.MemTableBytes,
		MemTableStopWritesThreshold: 3,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       1000, // the index is the only thing that overlaps; it is small
		LBaseMaxBytes:               256 << 20,
		BytesPerSync:                1 << 20,
		WALBytesPerSync:             512 << 10,
		MaxOpenFiles:                1000,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		Logger:                      quiet{cfg.Trouble},
		EventListener: &pebble.EventListener{BackgroundError: func(err error) {
			if !errors.Is(err, pebble.ErrCancelledCompaction) {
				cfg.Trouble(&cdp.Error{Op: "journal store", Kind: cdp.Transient, Subject: dir, Cause: err})
			}
		}},
	}
	for i := range d.opts.Levels {
		l := &d.opts.Levels[i]
		l.BlockSize = pieceSize
		l.IndexBlockSize = 64 << 10
		l.FilterPolicy = bloom.FilterPolicy(10)
		l.Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
		d.opts.TargetFileSizes[i] = 32 << 20
	}
	var err error
	if d.db, err = pebble.Open(dir, d.opts); err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Corrupt, Subject: dir, Cause: err,
			Hint: "another process may be using it; run only one journal service per directory"}
	}
	if err := d.load(); err != nil {
		d.db.Close()
		return nil, cdp.Wrap(err, op, dir)
	}
	return d, nil
}

func (d *DB) load() error {
	// Tables that a crash kept from being linked in were never acknowledged.
	names, err := d.cfg.FS.List(d.dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if strings.HasPrefix(n, bulkPrefix) {
			if err := d.cfg.FS.Remove(filepath.Join(d.dir, n)); err != nil {
				return err
			}
		}
	}
	registry := Group{}
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: registry.key(nil, kindGroup), UpperBound: registry.key(nil, kindGroup+1)})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		var gi GroupInfo
		if err := json.Unmarshal(it.Value(), &gi); err != nil {
			return &cdp.Error{Op: "read group", Kind: cdp.Corrupt, Subject: string(it.Key()[5:]), Cause: err}
		}
		d.groups[gi.ID] = gi
		d.nextNum = max(d.nextNum, gi.Num)
	}
	return it.Error()
}

// Close closes the database. No group of it may be in use.
func (d *DB) Close() error { return d.db.Close() }

// Groups are the groups the database holds.
func (d *DB) Groups() []GroupInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []GroupInfo
	for _, gi := range d.groups {
		out = append(out, gi)
	}
	return out
}

// Group opens the store of a group, creating it with these disks if there is
// none. An existing group must have the same disks.
func (d *DB) Group(id cdp.GroupID, disks []cdp.Disk) (*Group, error) {
	const op = "open group"
	d.mu.Lock()
	defer d.mu.Unlock()
	gi, ok := d.groups[id]
	if ok {
		if fmt.Sprint(gi.Disks) != fmt.Sprint(disks) {
			return nil, cdp.Errorf(cdp.Conflict, op, string(id), "the journal holds the disks %v, the job has %v", gi.Disks, disks).
				WithHint("delete the job with its journal, or restore the job's disks")
		}
		return &Group{d: d, num: gi.Num}, nil
	}
	gi = GroupInfo{ID: id, Num: d.nextNum + 1, Disks: disks}
	if err := d.put(gi); err != nil {
		return nil, cdp.Wrap(err, op, string(id))
	}
	d.nextNum++
	d.groups[id] = gi
	return &Group{d: d, num: gi.Num}, nil
}

func (d *DB) put(gi GroupInfo) error {
	v, err := json.Marshal(gi)
	if err != nil {
		return err
	}
	registry := Group{}
	return d.db.Set(append(registry.key(nil, kindGroup), gi.ID...), v, pebble.Sync)
}

// Drop removes a group and everything it holds.
func (d *DB) Drop(id cdp.GroupID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	gi, ok := d.groups[id]
	if !ok {
		return nil
	}
	g, registry := Group{num: gi.Num}, Group{}
	b := d.db.NewBatch()
	defer b.Close()
	if err := b.DeleteRange(g.key(nil, 0), g.key(nil, 0xFF), nil); err != nil {
		return cdp.Wrap(err, "drop group", string(id))
	}
	if err := b.Delete(append(registry.key(nil, kindGroup), id...), nil); err != nil {
		return cdp.Wrap(err, "drop group", string(id))
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return cdp.Wrap(err, "drop group", string(id))
	}
	delete(d.groups, id)
	return nil
}

// quiet drops Pebble's log messages. Only what Pebble cannot survive is passed on:
// it calls Fatalf when its log cannot be written, and must not continue.
type quiet struct{ trouble func(error) }

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (q quiet) Fatalf(format string, args ...any) {
	err := cdp.Errorf(cdp.Full, "journal store", "", format, args...)
	q.trouble(err)
	panic(err)
}
