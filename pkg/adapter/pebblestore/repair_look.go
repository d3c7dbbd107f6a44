package pebblestore

import (
	"context"
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
	if err := r.dropTables(g, db); err != nil {
		return bad, err
	}
	return g.needsEnd()
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

// needsEnd is the first frame after base that is damaged or missing.
func (g *Group) needsEnd() (bad unreadable, err error) {
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
		end := l.Newest.No
		if max(st.Base, st.Moving) > l.Newest.Last() { // the replica has frames that are gone
			end = max(newest, end+1)
		}
		oldest, newest = l.Oldest, end
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
	if no == 0 && why != nil {
		return bad, why
	}
	// Which frames the replica has does not matter to these: without them nobody knows
	// what they wrote.
	first, cause := g.firstUnindexed(indexed, oldest, newest)
	if first == 0 && cause != nil {
		return bad, cause
	}
	if first != 0 && (no == 0 || first < no) {
		no, why = first, cause
	}
	if no == 0 {
		return bad, nil
	}
	// Without checksums nobody would notice that a floor was lost as well.
	back := st.Summed && !st.Halted && !st.Sealed && !st.Released && !st.Straight
	return unreadable{frame: no, why: firstLine(why), back: back}, nil
}

// dropTables removes the tables that cannot be opened, if they hold frames only.
func (r *repair) dropTables(g *Group, db *database) error {
	levels, err := db.SSTables()
	if err != nil {
		return failed(opRepair, err)
	}
	for _, tables := range levels {
		for _, t := range tables {
			name := t.BackingSSTNum.String() + ".sst"
			why := opens(filepath.Join(g.s.path(), name))
			if why == nil {
				continue
			}
			from, to := t.Smallest.UserKey, t.Largest.UserKey
			if !g.isFrame(from) || !g.isFrame(to) {
				return cdp.Errorf(cdp.Corrupt, opRepair, name, "it cannot be opened, and holds more than frames: %s", firstLine(why))
			}
			if err := db.Excise(context.Background(), pebble.KeyRange{Start: from, End: append(to[:len(to):len(to)], 0)}); err != nil {
				return failed(opRepair, err)
			}
			first, _ := frameOfKey(from)
			last, _ := frameOfKey(to)
			r.mends = true
			r.Found = append(r.Found, fmt.Sprintf("%s, which held the frames %d to %d, cannot be opened: %s", name, first, last, firstLine(why)))
		}
	}
	return nil
}

func (g *Group) isFrame(k []byte) bool {
	return len(k) == 15 && string(k[:5]) == string(g.key(nil, kindFrame))
}
