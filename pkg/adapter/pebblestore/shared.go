package pebblestore

import (
	"context"
	"errors"
	"io/fs"
	"regexp"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
)

// splitShared gives each group of an older installation, which kept all of them in
// one database in dir itself, a store of its own. The tables are linked, not
// copied. The shared database is removed once every group has its store, which
// the file splitDone says; so a crash loses nothing, and the next start goes on.
func (d *DB) splitShared() error {
	const op = "split the shared journal store"
	names, err := d.sharedFiles()
	if err != nil || len(names) == 0 {
		return err
	}
	done := d.cfg.FS.PathJoin(d.dir, splitDone)
	if _, err := d.cfg.FS.Stat(done); err == nil {
		return d.removeShared(names) // it was interrupted
	}
	err = checkLogs(d.cfg.FS, d.dir)
	if err == nil {
		err = d.splitGroups()
	}
	if err != nil {
		e := &cdp.Error{Op: op, Kind: kindOf(err), Subject: d.dir, Cause: err}
		return e.WithHint("the journals of an older version cannot be taken over. Their files are left as they are: move them out of " + d.dir +
			" and restart; each job has to be deleted, its replica's files moved out of the way, and the job applied again")
	}
	f, err := d.cfg.FS.Create(done, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Close(), d.syncDir()); err != nil {
		return err
	}
	if names, err = d.sharedFiles(); err != nil { // opening it made others
		return err
	}
	return d.removeShared(names)
}

const splitDone = "split.done"

func (d *DB) splitGroups() (err error) {
	on := newDisk(d.cfg.FS, d.dir, 0)
	o := (&store{d: d}).options(on)
	o.Lock, o.ErrorIfNotExists = d.lock, true
	db, err := pebble.Open(d.dir, o)
	if err != nil {
		return err
	}
	defer func() {
		if e := db.Close(); err == nil {
			err = e
		}
		if err == nil {
			err = on.ended()
		}
	}()
	infos, err := readInfos(db)
	if err != nil {
		return err
	}
	for _, gi := range infos {
		if _, err := d.cfg.FS.Stat(d.path(gi.ID)); err == nil {
			continue // before an interruption
		}
		if err := d.splitOne(db, gi); err != nil {
			return err
		}
	}
	return nil
}

// splitOne makes the store of one group from the shared database.
func (d *DB) splitOne(shared *pebble.DB, gi groupInfo) error {
	path, g := d.path(gi.ID)+unfinished, Group{num: gi.Num}
	first, end := g.key(nil, 0), (&Group{num: gi.Num + 1}).key(nil, 0)
	if err := d.cfg.FS.RemoveAll(path); err != nil {
		return err
	}
	if err := shared.Checkpoint(path, pebble.WithFlushedWAL(),
		pebble.WithRestrictToSpans([]pebble.CheckpointSpan{{Start: first, End: end}})); err != nil {
		return err
	}
	db, err := (&store{d: d, id: gi.ID}).openAt(path, true)
	if err != nil {
		return err
	}
	// The others' rows in tables and logs that the groups shared.
	for _, span := range []pebble.KeyRange{{Start: []byte{0}, End: first}, {Start: end, End: []byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF}}} {
		if err == nil {
			err = db.Excise(context.Background(), span)
		}
	}
	if err == nil {
		err = putInfo(db.DB, gi)
	}
	if e := db.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = db.failure()
	}
	if err != nil {
		return err
	}
	return d.finish(gi.ID)
}

// pebbleFile is what the files of a database are called.
var pebbleFile = regexp.MustCompile(`^(CURRENT|OPTIONS-\d+|MANIFEST-\d+|marker\..*|bulk-.*|\d+\.(sst|log|blob|dbtmp))$`)

// sharedFiles are the files of a database that is in dir itself.
func (d *DB) sharedFiles() (out []string, err error) {
	names, err := d.cfg.FS.List(d.dir)
	for _, n := range names {
		if pebbleFile.MatchString(n) {
			out = append(out, n)
		}
	}
	return out, err
}

// removeShared removes the shared database's files.
func (d *DB) removeShared(names []string) error {
	for _, n := range names {
		if err := d.cfg.FS.Remove(d.cfg.FS.PathJoin(d.dir, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := d.syncDir(); err != nil {
		return err
	}
	return d.cfg.FS.Remove(d.cfg.FS.PathJoin(d.dir, splitDone))
}
