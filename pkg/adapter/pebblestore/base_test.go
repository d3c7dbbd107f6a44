package pebblestore

import (
	"errors"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/history"
	"tidemark.dev/pkg/engine/vault"
)

// baseCase is a journal of eight frames of 32 writes, each a point.
type baseCase struct {
	bad     cdp.FrameNo // is damaged
	base    cdp.Seq
	horizon cdp.Seq
	summed  bool
	newest  cdp.FrameNo // that is kept
	lost    int         // points
}

// back: the replica goes back.
func (x baseCase) back() bool { return x.summed && x.base > x.horizon }

// A damaged frame is not in the index, and the replica, which has what it wrote, cannot go
// back before it. The store opens by itself with the replica as it is: what was before base
// is given up by name, and what is after it is kept, unless writes after base were in the
// damaged frame: then they are asked for again.
func TestADamagedFrameThatTheReplicaHasClosesNoJournal(t *testing.T) {
	for name, x := range map[string]baseCase{
		"at the oldest point":               {bad: 3, base: 3 * 32, horizon: 3 * 32, summed: true, newest: 8},
		"without checksums":                 {bad: 3, base: 5 * 32, horizon: 2 * 32, newest: 8, lost: 3},
		"it is the newest, at base":         {bad: 8, base: 8 * 32, horizon: 8 * 32, summed: true, newest: 7, lost: 1},
		"base is inside it":                 {bad: 5, base: 5*32 - 7, horizon: 5*32 - 7, summed: true, newest: 4, lost: 4},
		"with checksums, base is far after": {bad: 3, base: 8 * 32, horizon: 1 * 32, summed: true, newest: 2, lost: 6}, // goes back
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			x.make(t, dir)
			db := mustOpen(t, dir)
			g := mustGroup(t, db, "g")
			l, err := g.Load()
			if err != nil {
				t.Fatal(err)
			}
			if no, why := vault.FirstUnindexed(g, l.Indexed, l.Oldest, l.Newest.No); no != 0 {
				if err := g.EndBefore(no, why); err != nil {
					t.Fatal(err)
				}
				if l, err = g.Load(); err != nil {
					t.Fatal(err)
				}
			}
			x.check(t, db, g, l)
			w := &writer{g: g, last: *l.Newest}
			w.store(t, 1, 128<<10)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = mustOpen(t, dir)
			defer db.Close()
			if l, err := mustGroup(t, db, "g").Load(); err != nil || l.Newest.No != x.newest+1 || db.Damage("g") != nil {
				t.Errorf("after it: newest %+v, %v, %v", l.Newest, err, db.Damage("g"))
			}
		})
	}
}

// The newest frame is found to be damaged while the journal is open. History ends before it.
func TestHistoryEndsBeforeAnUnreadableNewestFrame(t *testing.T) {
	db := mustOpen(t, t.TempDir())
	defer db.Close()
	w := &writer{g: mustGroup(t, db, "g")}
	w.store(t, 8, 128<<10)
	if err := w.g.EndBefore(8, cdp.Errorf(cdp.Corrupt, "read", "", "damaged")); err != nil {
		t.Fatal(err)
	}
	if l, err := w.g.Load(); err != nil || l.Newest == nil || l.Newest.No != 7 {
		t.Errorf("%+v, %v", l, err)
	}
}

// make makes the journal in dir, as retention has left it.
func (x baseCase) make(t *testing.T, dir string) {
	t.Helper()
	db := mustOpen(t, dir)
	w := &writer{g: mustGroup(t, db, "g")}
	for range 8 {
		w.store(t, 1, 128<<10)
		w.point(t, w.last.No)
	}
	entry := vault.IndexEntry{Block: 1, Entry: history.Entry{Seq: 32, Mask: cdp.FullMask, Place: history.Place{Frame: 1}}}
	if err := w.g.AddIndex(1, []vault.IndexEntry{entry}); err != nil {
		t.Fatal(err)
	}
	u := w.g.Begin()
	u.SetState(vault.State{Horizon: x.horizon, Base: x.base, Moving: x.base, Summed: x.summed})
	u.PutFloor(0, 9, floorOfTest)
	oldest := cdp.FrameNo(0)
	for no := cdp.FrameNo(1); no <= 8; no++ {
		if cdp.Seq(no)*32 < x.horizon {
			u.DropPoint(no)
			oldest = no
		}
	}
	u.DropFrames(oldest)
	if err := errors.Join(u.Commit(), db.Close()); err != nil {
		t.Fatal(err)
	}
	flipContent(t, filepath.Join(dir, "g"), content(x.bad, 64<<10))
	flipHeader(t, filepath.Join(dir, "g"), content(x.bad, 0))
}

// check holds what was opened to what there should be.
func (x baseCase) check(t *testing.T, db *DB, g *Group, l vault.Loaded) {
	t.Helper()
	if l.Newest == nil || l.Newest.No != x.newest || l.State.Base != x.base || !x.back() && (l.State.Horizon != x.base || l.State.Moving != x.base) {
		t.Fatalf("%+v, newest %+v", l, l.Newest)
	}
	if l.Newest.Last() < x.base && !x.back() {
		t.Errorf("the newest write is %d", l.Newest.Last())
	}
	if no, why := vault.FirstUnindexed(g, l.Indexed, l.Oldest, l.Newest.No); no != 0 || why != nil {
		t.Errorf("frame %d: %v", no, why)
	}
	losses, err := db.Losses("g")
	lost := 0
	for _, l := range losses {
		lost += len(l.Points)
	}
	if err != nil || lost != x.lost || lost == 0 && db.Damage("g") == nil {
		t.Errorf("lost: %v, %v, damage %v", losses, err, db.Damage("g"))
	}
	r, err := g.Reader()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := r.Entries(0, 1, ^cdp.Seq(0), func(history.Entry) bool { n++; return true }); err != nil || x.back() != (n == 1) {
		t.Errorf("%d old entries, %v", n, err)
	}
	has := make([]bool, 16)
	if err := r.Floors(0, 0, has); err != nil || has[9] != x.back() {
		t.Errorf("floors: %v, %v", has, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// flipHeader flips a bit of what is before the first of a frame's content: its header.
func flipHeader(t *testing.T, dir string, first []byte) {
	t.Helper()
	name, _, at := find(t, dir, first)
	if err := flipAt(name, max(at-64, 20)); err != nil {
		t.Fatal(err)
	}
}
