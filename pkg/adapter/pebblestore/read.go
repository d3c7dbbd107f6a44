package pebblestore

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/history"
	"tidemark.dev/pkg/engine/vault"
)

// evidence is a store that is read and never changed.
type evidence struct{ *Group }

var _ vault.Evidence = evidence{}

// Load is what the store holds. It opens nothing anew.
func (e evidence) Load() (vault.Loaded, error) { return e.read(0) }

// Read calls fn with the store of a group in dir, which no service may be using. Nothing
// of the store is changed. It fails as a whole if the store is so damaged that it could be
// read in part only.
func Read(dir string, id cdp.GroupID, fn func(vault.Evidence) error) (err error) {
	const op = "read journal store"
	if st, err := os.Stat(filepath.Join(dir, string(id))); err != nil || !st.IsDir() {
		return cdp.Errorf(cdp.NotFound, op, string(id), "there is no journal of this job in %s", dir)
	}
	lock, err := pebble.LockDirectory(dir, vfs.Default)
	switch {
	case err == nil:
		defer lock.Close()
	case !errors.Is(err, syscall.EROFS): // nobody writes there
		return &cdp.Error{Op: op, Kind: cdp.Conflict, Subject: dir, Cause: err,
			Hint: "stop the journal service of this directory first, or verify a copy of the directory"}
	}
	cfg := Options{CacheBytes: 8 << 20}.withDefaults()
	d := &DB{dir: dir, cfg: cfg, groups: map[cdp.GroupID]*store{},
		cache: pebble.NewCache(cfg.CacheBytes), files: pebble.NewFileCache(runtime.GOMAXPROCS(0), openFiles)}
	defer d.cache.Unref()
	defer d.files.Unref()
	s := &store{d: d, id: id, lenient: true, reads: true}
	if err := checkLogs(cfg.FS, s.path()); err != nil {
		return cdp.Wrap(err, op, string(id))
	}
	db, err := s.openAt(s.path(), true)
	if err != nil {
		return s.notOpened(cdp.Corrupt, err)
	}
	s.replace(db)
	defer func() { err = errors.Join(err, failed(op, db.Close())) }()
	infos, err := readInfos(db.DB)
	if err != nil {
		return failed(op, err)
	}
	i := slices.IndexFunc(infos, func(gi groupInfo) bool { return gi.ID == id })
	if i < 0 {
		return cdp.Errorf(cdp.Corrupt, op, string(id), "the store does not say that it holds this group")
	}
	s.info = infos[i]
	return fn(evidence{&Group{s: s, num: s.info.Num}})
}

// Entries calls fn for every entry of the index.
func (g *Group) Entries(fn func(vault.IndexEntry) error) error {
	const op = "read index"
	it, err := g.iter(g.key(nil, kindIndex), g.key(nil, kindIndexed))
	if err != nil {
		return failed(op, err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		e, err := indexEntry(it.Key(), it.Value())
		if err == nil {
			err = fn(e)
		}
		if err != nil {
			return err
		}
	}
	return failed(op, it.Error())
}

// indexEntry decodes a row of the index.
func indexEntry(k, v []byte) (e vault.IndexEntry, err error) {
	whole := len(k) > 4 && k[4] == kindWhole
	if len(k) != placeKeyLen+8 || !whole && len(v) != 14 {
		return e, cdp.Errorf(cdp.Corrupt, "read index", "", "a row has %d and %d bytes", len(k), len(v))
	}
	e = vault.IndexEntry{Disk: cdp.DiskID(be.Uint16(k[5:])), Whole: whole, Entry: history.Entry{Seq: seqOfKey(k)}}
	if whole {
		e.Region = cdp.Region(placeOfKey(k[:placeKeyLen]))
		return e, nil
	}
	e.Block, e.Mask = cdp.Block(placeOfKey(k[:placeKeyLen])), cdp.Mask(v[12])
	e.Place = history.Place{Frame: cdp.FrameNo(be.Uint64(v)), Off: be.Uint32(v[8:]), Zero: v[13] != 0}
	return e, nil
}
