package pebblestore

import (
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
)

// database is one opening of a store's database. When it has ended, another takes its
// place; it is closed once nobody uses it.
type database struct {
	*pebble.DB
	s    *store
	on   *disk
	opts *pebble.Options

	// Of store.using.
	users    int
	replaced bool
}

// openAt opens or makes the database in a folder. It does not wait for room: call
// disk.wait once it is the store's.
func (s *store) openAt(path string, exists bool) (*database, error) {
	db := &database{s: s, on: newDisk(s.d.cfg.FS, path, s.d.cfg.Keep)}
	db.opts = s.options(db.on)
	db.opts.ErrorIfNotExists = exists
	var err error
	if db.DB, err = pebble.Open(path, db.opts); err != nil {
		return nil, err
	}
	if err := db.on.ended(); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func (s *store) current() *database {
	s.using.Lock()
	defer s.using.Unlock()
	return s.db
}

// replace puts db in the place of the present database, and returns that.
func (s *store) replace(db *database) *database {
	s.using.Lock()
	defer s.using.Unlock()
	old := s.db
	s.db = db
	return old
}

// retire closes a database that has ended, and is not the present one any more, once
// nobody uses it. There may be none.
func (db *database) retire() {
	if db == nil {
		return
	}
	db.s.using.Lock()
	db.replaced = true
	idle := db.users == 0
	db.s.using.Unlock()
	if idle {
		db.Close()
	}
}

// use is the present database, until done is called.
func (s *store) use() *database {
	s.using.Lock()
	defer s.using.Unlock()
	s.db.users++
	return s.db
}

func (db *database) done() {
	db.s.using.Lock()
	db.users--
	idle := db.replaced && db.users == 0
	db.s.using.Unlock()
	if idle {
		db.Close()
	}
}

// failure is why the database has ended, nil if it works.
func (db *database) failure() error {
	err := db.on.ended()
	if err == nil {
		return nil
	}
	kind := cdp.Transient // not Full: nobody knows what was written
	if pebble.IsCorruptionError(err) {
		kind = cdp.Corrupt
	}
	return &cdp.Error{Op: "journal store", Kind: kind, Subject: string(db.s.id), Cause: err,
		Hint: "the journal's files could not be written; it reads them again and goes on by itself"}
}

// settleWithin is how long settle waits for a disk that may be full.
const settleWithin = 30 * time.Second

// settle waits until what is in memory is in tables. Pebble removes a span whose rows are
// partly in memory only then: until that every read still opens the tables of the span.
func (db *database) settle() error {
	done, err := db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-done:
	case <-db.on.over:
	case <-clock.After(clock.System, settleWithin):
		return cdp.Errorf(cdp.Transient, "journal store", string(db.s.id), "what is in memory could not be written to tables in %s", settleWithin)
	}
	return db.failure()
}

// spare is how much is free after a change, so that the log's write does not have to
// wait for room.
const spare = 1 << 20

// ready is nil if n bytes can be written. A change that is refused here has changed
// nothing: Full.
func (db *database) ready(n int) error {
	if err := db.failure(); err != nil {
		return err
	}
	if free, _, ok := db.on.room(); ok && free < uint64(n)+spare {
		return noRoom(db.s.id, syscall.ENOSPC)
	}
	return nil
}

// readyForTable is ready for tables of unknown size.
func (db *database) readyForTable(of share) error {
	if err := db.failure(); err != nil {
		return err
	}
	if free, keep, ok := db.on.room(); ok && free < keep/2*uint64(of)+spare {
		return noRoom(db.s.id, syscall.ENOSPC)
	}
	return nil
}

// commit makes a batch part of the database.
func (db *database) commit(b *pebble.Batch, o *pebble.WriteOptions) error {
	if err := db.ready(b.Len()); err != nil {
		return err
	}
	err := b.Commit(o)
	if err == nil {
		err = db.failure()
	}
	return err
}

func noRoom(id cdp.GroupID, err error) error {
	return &cdp.Error{Op: "write journal store", Kind: cdp.Full, Subject: string(id), Cause: err,
		Hint: "free space on the disk of the journals: it goes on by itself"}
}

// Full is why the store of a group waits for room on its disk, nil if it does not.
func (d *DB) Full(id cdp.GroupID) error {
	s := d.store(id)
	if s == nil {
		return nil
	}
	db := s.current()
	if db == nil {
		return nil
	}
	if err := db.on.waits(); err != nil {
		return noRoom(id, err)
	}
	return nil
}

// iterator is a Pebble iterator that keeps its database open.
type iterator struct {
	*pebble.Iterator
	db *database
}

func (it iterator) Close() error {
	err := it.Iterator.Close()
	it.db.done()
	return err
}
