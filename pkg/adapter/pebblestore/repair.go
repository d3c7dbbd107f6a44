package pebblestore

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
)

// Repaired is what a repair of a group's store found, and what is left.
type Repaired struct {
	Found  []string   `json:"found"`  // what is damaged; empty: nothing
	Losses []cdp.Loss `json:"losses"` // the history that it costs
	Points int        `json:"points"` // how many recovery points are left
	// Anew: nothing of the history is sound. It begins anew with the replica as it is.
	Anew bool `json:"anew,omitempty"`
	// Kept is where the damaged store was moved; empty: nothing was changed.
	Kept string `json:"kept,omitempty"`
}

// RepairOptions say what a repair may do.
type RepairOptions struct {
	Write bool // change the store
	Anew  bool // give up a history that cannot be mended
}

// repair is a repair of one group's store, on a copy of it.
type repair struct {
	dir         string // of the stores
	id          cdp.GroupID
	began       time.Time
	logs        bool // a log was cut
	anewAllowed bool
	online      bool // see store.mend
	mends       bool // the copy is not as the store
	Repaired
}

const opRepair = "repair journal store"

// Repair mends the store of a group in dir, which no service may be using, on a copy
// that shares its tables. It keeps what can be read: history ends before the first
// damage that the replica has not passed. With Write the copy takes the store's place
// once all of it reads back, and the damaged one is kept beside it; otherwise nothing is
// changed. What cannot be mended is Corrupt, and stays as it is; with Anew it gets a store
// without history instead, and the replica is kept.
func Repair(dir string, id cdp.GroupID, how RepairOptions) (Repaired, error) {
	lock, err := pebble.LockDirectory(dir, vfs.Default)
	if err != nil {
		return Repaired{}, &cdp.Error{Op: opRepair, Kind: cdp.Conflict, Subject: dir, Cause: err,
			Hint: "stop the journal service of this directory first"}
	}
	defer lock.Close()
	r := &repair{dir: dir, id: id, began: time.Now(), anewAllowed: how.Anew}
	if st, err := os.Stat(r.path()); err != nil || !st.IsDir() {
		return Repaired{}, cdp.Errorf(cdp.NotFound, opRepair, string(id), "there is no journal of this job in %s", dir)
	}
	err = r.run(how.Write)
	if e := os.RemoveAll(r.work()); err == nil && e != nil {
		err = &cdp.Error{Op: opRepair, Kind: cdp.Transient, Subject: string(id), Cause: e}
	}
	return r.Repaired, err
}

func (r *repair) path() string { return filepath.Join(r.dir, string(r.id)) }

// work is the folder of the copy. A crash leaves it to the next start, which removes it.
func (r *repair) work() string { return r.path() + unfinished }

func (r *repair) copied() string { return filepath.Join(r.work(), string(r.id)) }

func (r *repair) run(write bool) error {
	err := r.mendCopy()
	if cdp.Is(err, cdp.Corrupt) && r.anewAllowed {
		r.Found = append(r.Found, firstLine(err))
		if err = r.anew(err); err == nil {
			r.Anew = true
		}
	}
	if err != nil {
		return r.cannot(err)
	}
	if !r.mends || !write {
		return nil
	}
	return r.replace()
}

// mendCopy copies the store and mends the copy. An error is Corrupt if that is not
// possible.
func (r *repair) mendCopy() error {
	err := r.clear()
	if err == nil {
		err = copyStore(r.path(), r.copied())
	}
	if err == nil {
		var what string
		if what, err = restoreManifest(vfs.Default, r.copied()); what != "" {
			r.mends = true
			r.Found = append(r.Found, what)
		}
	}
	if err == nil {
		err = r.cutLogs()
	}
	if err != nil {
		return err
	}
	d, err := Open(r.work(), Options{})
	if err != nil {
		return err
	}
	err = r.mend(d)
	if e := d.Close(); err == nil {
		err = e
	}
	if cdp.KindOf(err) == cdp.Internal && err != nil { // Pebble's word for much that is damaged
		err = &cdp.Error{Op: opRepair, Kind: cdp.Corrupt, Subject: string(r.id), Cause: err}
	}
	return err
}

// clear removes what is in the folder of the copy.
func (r *repair) clear() error {
	err := os.RemoveAll(r.work())
	if err == nil {
		err = os.MkdirAll(r.work(), 0o700)
	}
	if err != nil {
		return &cdp.Error{Op: opRepair, Kind: cdp.Transient, Subject: string(r.id), Cause: err}
	}
	return nil
}

func (r *repair) cannot(err error) error {
	e := &cdp.Error{Op: opRepair, Kind: cdp.KindOf(err), Subject: string(r.id), Cause: err}
	switch {
	case e.Kind == cdp.Conflict:
		e.Hint = "end the failover first"
	case e.Kind != cdp.Corrupt:
	case r.anewAllowed:
		e.Hint = "nothing was changed; " + startAnew
	default:
		e.Hint = "nothing was changed. The history cannot be mended. The replica can be kept: tidemark repair " + string(r.id) +
			" --anew gives the history up and compares the disks; or " + startAnew
	}
	return e
}

// mend makes the copy one that opens and reads back.
func (r *repair) mend(d *DB) error {
	s := d.store(r.id)
	s.asIs = true
	raw := &store{d: d, id: r.id, lenient: true}
	bad, err := r.look(raw)
	if err != nil {
		return err
	}
	if r.logs {
		bad.why = r.Found[0]
	}
	if s.unreadable = bad; bad.any() {
		r.mends = true
		if bad.frame != 0 {
			r.Found = append(r.Found, fmt.Sprintf("frame %d cannot be read: %s", bad.frame, bad.why))
		} else {
			r.Found = append(r.Found, "a frame before base cannot be read: "+bad.why)
		}
	}
	if err := s.open(); err != nil {
		return err
	}
	g := &Group{s: s, num: s.info.Num}
	l, err := g.read(0)
	if err != nil {
		return err
	}
	if r.logs && !l.State.Summed {
		return cdp.Errorf(cdp.Corrupt, opRepair, string(r.id), "its log is damaged, and the replica has blocks without checksums: it is not known whether they fit what is left")
	}
	if err := r.readsBack(g, l); err != nil {
		return err
	}
	if err := g.Points(func(cdp.Point) error { r.Points++; return nil }); err != nil {
		return err
	}
	lost, err := d.Losses(r.id)
	for _, x := range lost {
		if !x.Found.Before(r.began) {
			r.mends = true
			r.Losses = append(r.Losses, x)
			if bad.frame == 0 && !r.logs {
				r.Found = append(r.Found, x.Why)
			}
		}
	}
	return err
}

// readsBack reads everything that is left. A frame that the replica has already costs
// the points that need it, and nothing else.
func (r *repair) readsBack(g *Group, l vault.Loaded) error {
	if l.Newest != nil && l.Indexed < l.Newest.No { // the index of these is made of their headers
		if err := g.Tables(l.Indexed+1, l.Newest.No, func(frame.Table) error { return nil }); err != nil {
			return err
		}
	}
	if r.online { // reads and scrubs find the rest
		return nil
	}
	for no := l.Oldest; l.Newest != nil && no <= l.Newest.No; no++ {
		there := false
		err := g.Frames(no, no, func(frame.Table, []byte) error { there = true; return nil })
		switch {
		case cdp.Is(err, cdp.Corrupt):
			r.Found = append(r.Found, fmt.Sprintf("frame %d cannot be read, and the replica has it: recovery points before write %d that need it cannot be read there", no, l.State.Base))
		case err == nil && !there:
			r.Found = append(r.Found, fmt.Sprintf("frame %d is missing, and the replica has it: recovery points before write %d that need it cannot be read there", no, l.State.Base))
		case err != nil:
			return err
		}
	}
	return g.readsAll(kindFrame+1, 0xFF)
}

// readsAll reads all rows from one kind to another: each block is compared with its checksum.
func (g *Group) readsAll(from, end byte) error {
	it, err := g.iter(g.key(nil, from), g.key(nil, end))
	if err != nil {
		return failed("read store", err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		continue
	}
	return failed("read store", it.Error())
}

// replace puts the copy in the store's place, and keeps the damaged one.
func (r *repair) replace() error {
	if err := r.exchange(); err != nil {
		return err
	}
	for n := 1; ; n++ {
		kept := fmt.Sprintf("%s.damaged-%d", r.path(), n)
		if _, err := os.Lstat(kept); err == nil {
			continue
		}
		if err := os.Rename(r.copied(), kept); err != nil {
			return r.failed(err)
		}
		r.Kept = kept
		break
	}
	return r.failed(syncDir(vfs.Default, r.dir))
}

// exchange has the copy and the store change places, at once and durably.
func (r *repair) exchange() error {
	if err := unix.Renameat2(unix.AT_FDCWD, r.copied(), unix.AT_FDCWD, r.path(), unix.RENAME_EXCHANGE); err != nil {
		return r.failed(fmt.Errorf("exchange %s and its repaired copy: %w", r.path(), err))
	}
	return r.failed(syncDir(vfs.Default, r.dir))
}

func (r *repair) failed(err error) error {
	if err == nil {
		return nil
	}
	return &cdp.Error{Op: opRepair, Kind: cdp.Transient, Subject: string(r.id), Cause: err}
}
