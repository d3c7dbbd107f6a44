package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/cockroachdb/pebble/v2"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/vault"
)

// look opens the copy without Pebble's checks, removes the tables that cannot be opened,
// and finds the frame before which history has to end.
func (r *repair) look(s *store) (bad unreadable, err error) {
	if err := checkLogs(s.d.cfg.FS, s.path()); err != nil {
		return bad, err
	}
	db, err := s.openAt(s.path(), true)
	if err != nil {
		return bad, failed(opRepair, err)
	}
	for filled := true; filled; {
		if filled, err = fillMissing(s.path(), db); err != nil || filled {
			if err := errors.Join(err, db.Close()); err != nil {
				return bad, failed(opRepair, err)
			}
			if db, err = s.openAt(s.path(), true); err != nil {
				return bad, failed(opRepair, err)
			}
		}
	}
	s.replace(db)
	defer func() {
		if e := db.Close(); err == nil {
			err = failed(opRepair, e)
		}
	}()
	lost, err := r.dropTables(s, db)
	if err != nil {
		return bad, err
	}
	what, err := restoreTwins(db)
	if err != nil {
		return bad, err
	}
	if what != "" {
		r.mends = true
		r.Found = append(r.Found, what)
	}
	infos, err := readInfos(db.DB)
	if err != nil {
		return bad, failed(opRepair, err)
	}
	for _, gi := range infos {
		if gi.ID == r.id {
			s.info = gi
		}
	}
	g := &Group{s: s, num: s.info.Num}
	if lost.any() {
		if err := g.rebuild(lost); err != nil {
			return bad, err
		}
		r.mends = true
		r.Found = append(r.Found, lost.String())
	}
	if r.online {
		return g.damagedEnd(!r.logs)
	}
	return g.needsEnd(!r.logs)
}

// fillMissing puts an empty file in the place of a table that is missing: Pebble neither
// lists nor removes one whose file it does not find.
func fillMissing(dir string, db *database) (filled bool, err error) {
	_, err = db.SSTables()
	if !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	m := missingTable.FindStringSubmatch(err.Error())
	if m == nil {
		return false, err
	}
	path := filepath.Join(dir, m[1]+".sst")
	if _, e := os.Lstat(path); e == nil {
		return false, err // it is there, and Pebble does not find it
	}
	return true, os.WriteFile(path, nil, 0o600)
}

var missingTable = regexp.MustCompile(`file (\d+) \(type sstable\) unknown`)

// needsEnd is the first frame before which history has to end: base never passes it, or it
// keeps the store from being opened.
func (g *Group) needsEnd(back bool) (bad unreadable, err error) {
	if bad, err = g.damagedEnd(back); err != nil || bad.keep != 0 {
		return bad, err
	}
	st, indexed, err := g.state()
	if err != nil {
		return bad, err
	}
	was, _, _ := readDurable(g.s.d.cfg.FS, g.s.d.cfg.FS.PathJoin(g.s.path(), durableName))
	newest, oldest := max(was.frame, indexed), cdp.FrameNo(1)
	l, err := g.read(0)
	switch {
	case err == nil && l.Newest == nil:
		return bad, nil // nothing is stored, or nothing is left: compare decides
	case err == nil:
		oldest, newest = l.Oldest, l.Newest.No
	case !cdp.Is(err, cdp.Corrupt):
		return bad, err
	default: // the point that base has passed last says where to begin
		if err := g.Points(func(p cdp.Point) error {
			if p.Seq <= st.Base {
				oldest = p.Frame
			}
			return nil
		}); err != nil {
			return bad, err
		}
	}
	no, _, why := vault.FirstUnreadable(g, st.Base, oldest, newest)
	if no == 0 {
		return bad, why
	}
	if bad.frame == 0 || no < bad.frame {
		bad = unreadable{frame: no, why: firstLine(why), back: back && canGoBack(st)}
	}
	return bad, nil
}

// dropTables removes the tables that cannot be opened, if they hold frames only, or only
// rows that are stored twice. It returns what of the rest is to be made anew.
func (r *repair) dropTables(s *store, db *database) (lost rebuild, err error) {
	levels, err := db.SSTables()
	if err != nil {
		return lost, failed(opRepair, err)
	}
	for _, tables := range levels {
		for _, t := range tables {
			name := t.BackingSSTNum.String() + ".sst"
			why := opens(filepath.Join(s.path(), name))
			if why == nil {
				continue
			}
			if !isDamage(why) {
				return lost, &cdp.Error{Op: opRepair, Kind: cdp.Transient, Subject: name, Cause: why}
			}
			from, to := t.Smallest.UserKey, t.Largest.UserKey
			why = cdp.Errorf(cdp.Corrupt, opRepair, name, "it cannot be opened: %s", firstLine(why))
			if lost.add(from, to, why) {
				continue
			}
			spans, held := spansOf(from, to)
			if spans == nil {
				return lost, cdp.Errorf(cdp.Corrupt, opRepair, name, "it cannot be opened, and holds rows of more than one kind: %s", firstLine(why))
			}
			if err := excise(db, spans); err != nil {
				return lost, failed(opRepair, err)
			}
			r.mends = true
			r.Found = append(r.Found, fmt.Sprintf("%s, which held %s, cannot be opened: %s", name, held, firstLine(why)))
		}
	}
	return lost, nil
}

// add notes a table that cannot be opened, if it holds what can be made anew.
func (x *rebuild) add(from, to []byte, why error) bool {
	if len(from) < 5 || len(to) < 5 {
		return false
	}
	g := &Group{num: be.Uint32(from)}
	of := func(kind, end byte) bool {
		return within(pebble.KeyRange{Start: g.key(nil, kind), End: g.key(nil, end)}, from, to)
	}
	switch {
	case of(kindRuns, kindIndexed):
		x.index = why
	case of(kindFloor, kindState):
		x.floors, x.floorsIn = why, join(x.floorsIn, spanOf(from, to))
	case of(kindSum, kindTwin):
		x.sums, x.sumsIn = why, join(x.sumsIn, spanOf(from, to))
	default:
		return false
	}
	return true
}

// spansOf is what to remove if a table from one key to another cannot be opened, and what
// it held; nil if it holds what nothing replaces.
func spansOf(from, to []byte) (spans []pebble.KeyRange, held string) {
	if len(from) < 5 || len(to) < 5 {
		return nil, ""
	}
	g := &Group{num: be.Uint32(from)}
	if g.isFrame(from) && (g.isFrame(to) || bytes.Equal(to, g.key(nil, kindFrame+1))) {
		first, _ := frameOfKey(from)
		held = fmt.Sprintf("the frames from %d on", first)
		if g.isFrame(to) {
			last, _ := frameOfKey(to)
			held = fmt.Sprintf("the frames %d to %d", first, last)
		}
		return []pebble.KeyRange{{Start: from, End: append(to[:len(to):len(to)], 0)}}, held
	}
	return twinsOf(g.num).spansOf(from, to), "a copy of the journal's state"
}

func (g *Group) isFrame(k []byte) bool {
	return len(k) == 15 && string(k[:5]) == string(g.key(nil, kindFrame))
}
