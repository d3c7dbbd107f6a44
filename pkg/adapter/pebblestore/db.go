package pebblestore

import (
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/cdp"
)

// Options are the settings of all stores together; zero values mean the defaults.
type Options struct {
	// FS is the file system of the stores. Default the machine's.
	FS vfs.FS
	// CacheBytes is the size of the block cache that all groups share. Default
	// 32 MiB.
	CacheBytes int64
	// MemTableBytes is how much a group's log holds before it is written out; at
	// most two such tables are in memory, and they grow as they are filled. Default:
	// the group's share of 256 MiB, from 1 to 4 MiB. Several logs as large are on the
	// disk, and count for the size of a journal.
	MemTableBytes uint64
	// BulkBytes is from which size a batch of frames is written as a sorted
	// table instead of through the log. Default 2 MiB.
	BulkBytes int
	// Keep is how many bytes of the file system tables leave free, for the logs of
	// groups that are being failed over. Default 64 MiB, at most a sixteenth of it.
	Keep uint64
	// Trouble is called with failures in the background, such as a full disk, that
	// Pebble retries. It may be called from any goroutine.
	Trouble func(error)
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 32 << 20
	}
	if o.BulkBytes == 0 {
		o.BulkBytes = 2 << 20
	}
	if o.Keep == 0 {
		o.Keep = 64 << 20
	}
	if o.Trouble == nil {
		o.Trouble = func(error) {}
	}
	return o
}

// openFiles is how many tables are kept open, over all groups.
const openFiles = 2000

// DB is the journals of one transporter: a Pebble database for each group, in a
// folder of its own, so that damage stays in one group. They share caches.
type DB struct {
	dir    string
	cfg    Options
	direct bool
	chunks *sync.Pool
	lock   *pebble.Lock
	cache  *pebble.Cache
	files  *pebble.FileCache

	mu     sync.Mutex
	groups map[cdp.GroupID]*store // those with a folder
}

// Folders with these endings are not in use: a store being made, and one being
// removed. What a crash left of them is removed at the next start.
const (
	unfinished = ".new"
	dropped    = ".dropped"
)

// Open opens the stores in dir, which it creates if there is none. It opens no
// group yet: a group's damage is that group's trouble.
func Open(dir string, cfg Options) (*DB, error) {
	const op = "open journal stores"
	d := &DB{dir: dir, cfg: cfg.withDefaults(), chunks: newChunks(), groups: map[cdp.GroupID]*store{}}
	fs := d.cfg.FS
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: dir, Cause: err}
	}
	var err error
	if d.lock, err = pebble.LockDirectory(dir, fs); err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Conflict, Subject: dir, Cause: err,
			Hint: "another process is using it; run only one journal service per directory"}
	}
	err = d.syncDir()
	if e := syncDir(fs, fs.PathDir(dir)); err == nil {
		err = e
	}
	d.direct = fs == vfs.Default && probeDirect(dir)
	d.cache = pebble.NewCache(d.cfg.CacheBytes)
	d.files = pebble.NewFileCache(runtime.GOMAXPROCS(0), openFiles)
	if err == nil {
		err = d.removeLeftovers()
	}
	if err == nil {
		err = d.splitShared()
	}
	if err == nil {
		err = d.find()
	}
	if err != nil {
		d.Close()
		return nil, cdp.Wrap(err, op, dir)
	}
	return d, nil
}

// path is where a group's store is.
func (d *DB) path(id cdp.GroupID) string { return d.cfg.FS.PathJoin(d.dir, string(id)) }

func (d *DB) removeLeftovers() error {
	names, err := d.cfg.FS.List(d.dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		id, ending := strings.TrimSuffix(n, filepath.Ext(n)), filepath.Ext(n)
		if (ending == unfinished || ending == dropped) && cdp.CheckName("group", id) == nil {
			if err := d.cfg.FS.RemoveAll(d.cfg.FS.PathJoin(d.dir, n)); err != nil {
				return err
			}
		}
	}
	return nil
}

// find notes which groups there are.
func (d *DB) find() error {
	names, err := d.cfg.FS.List(d.dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		st, err := d.cfg.FS.Stat(d.cfg.FS.PathJoin(d.dir, n))
		if err == nil && st.IsDir() && cdp.CheckName("group", n) == nil {
			d.groups[cdp.GroupID(n)] = &store{d: d, id: cdp.GroupID(n)}
		}
	}
	return nil
}

// Close closes the stores. No group of them may be in use.
func (d *DB) Close() error {
	d.mu.Lock()
	stores := slices.Collect(maps.Values(d.groups))
	d.mu.Unlock()
	var work errgroup.Group // each waits for the disk
	work.SetLimit(8)
	for _, s := range stores {
		work.Go(s.close)
	}
	first := work.Wait()
	d.files.Unref()
	d.cache.Unref()
	if err := d.lock.Close(); first == nil {
		first = err
	}
	return first
}

func (d *DB) store(id cdp.GroupID) *store {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.groups[id]
}

// Known are the disks of a group; false if there is none. An error means that
// there is one, and that it cannot be opened.
func (d *DB) Known(id cdp.GroupID) ([]cdp.Disk, bool, error) {
	s := d.store(id)
	if s == nil {
		return nil, false, nil
	}
	if err := s.open(); err != nil {
		return nil, true, err
	}
	return s.says().Disks, true, nil
}

// Group opens the store of a group, creating it with these disks if there is
// none. An existing group must have the same disks.
func (d *DB) Group(id cdp.GroupID, disks []cdp.Disk) (*Group, error) {
	const op = "open group"
	if err := cdp.CheckName("group", string(id)); err != nil {
		return nil, cdp.Wrap(err, op, string(id))
	}
	s := d.store(id)
	if s == nil {
		var err error
		if s, err = d.create(groupInfo{ID: id, Num: 1, Disks: disks}); err != nil {
			return nil, cdp.Wrap(failed(op, err), op, string(id))
		}
	}
	if err := s.open(); err != nil {
		return nil, cdp.Wrap(err, op, string(id))
	}
	info := s.says()
	if !sameDisks(info.Disks, disks) {
		return nil, cdp.Errorf(cdp.Conflict, op, string(id), "the journal holds the disks %v, the job has %v", info.Disks, disks).
			WithHint("delete the job with its journal, or restore the job's disks")
	}
	return &Group{s: s, num: info.Num}, nil
}

// create makes the store of a new group. A crash leaves all of it or nothing.
func (d *DB) create(gi groupInfo) (*store, error) {
	fs, path := d.cfg.FS, d.path(gi.ID)
	if err := fs.RemoveAll(path + unfinished); err != nil {
		return nil, err
	}
	if err := beginNewest(fs, path+unfinished); err != nil {
		return nil, err
	}
	s := &store{d: d, id: gi.ID}
	db, err := s.openAt(path+unfinished, false)
	if err != nil {
		return nil, err
	}
	err = putInfo(db.DB, gi)
	if e := db.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = db.failure()
	}
	if err == nil {
		err = d.finish(gi.ID)
	}
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.groups[gi.ID] = s
	return s, nil
}

// beginNewest makes the folder of a new database with its format. Without that, Pebble
// begins with the oldest format that it knows and raises it version by version, which costs
// a dozen files and their syncs, and a file of a thousand jobs makes a thousand stores.
func beginNewest(fs vfs.FS, path string) error {
	if err := fs.MkdirAll(path, 0o755); err != nil {
		return err
	}
	format, _, err := atomicfs.LocateMarker(fs, path, "format-version")
	if err != nil {
		return err
	}
	err = format.Move(pebble.FormatNewest.String())
	if e := format.Close(); err == nil {
		err = e
	}
	return err
}

// finish makes an unfinished store the group's, durably.
func (d *DB) finish(id cdp.GroupID) error {
	if err := d.cfg.FS.Rename(d.path(id)+unfinished, d.path(id)); err != nil {
		return err
	}
	return d.syncDir()
}

func (d *DB) syncDir() error { return syncDir(d.cfg.FS, d.dir) }

func syncDir(fs vfs.FS, dir string) error {
	f, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// Drop removes a group and everything it holds. It must not be in use.
func (d *DB) Drop(id cdp.GroupID) error {
	const op = "drop group"
	d.mu.Lock()
	s := d.groups[id]
	delete(d.groups, id)
	d.mu.Unlock()
	if s == nil {
		return nil
	}
	_ = s.close() // damaged or not, it goes
	fs, gone := d.cfg.FS, d.path(id)+dropped
	err := fs.RemoveAll(gone)
	if err == nil {
		err = fs.Rename(d.path(id), gone)
	}
	if err == nil {
		err = d.syncDir()
	}
	if err != nil {
		d.mu.Lock()
		d.groups[id] = s // it is still there
		d.mu.Unlock()
		return cdp.Wrap(failed(op, err), op, string(id))
	}
	return cdp.Wrap(failed(op, fs.RemoveAll(gone)), op, string(id))
}
