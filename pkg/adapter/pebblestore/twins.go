package pebblestore

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Rows without which a group has no history, or its history has no points, are stored
// twice, in one commit: the row, and its twin under a key of its own. The tables of
// neither hold anything else (see apart), so that one damaged file leaves one of them.

// twinned reports whether rows of a kind are stored twice.
func twinned(kind byte) bool {
	switch kind {
	case kindGroup, kindIndexed, kindLoss, kindPoint, kindState:
		return true
	}
	return false
}

func twinKey(k []byte) []byte { return slices.Concat(k[:4], []byte{kindTwin}, k[4:]) }

// twins are the rows of one number that are stored twice.
type twins struct {
	num uint32
	// rows are the spans of the rows. The state is in the first, so that it is removed
	// first: a crash before the others are is noticed then.
	rows []pebble.KeyRange
}

// twinsOf are the rows of a group, or with number 0 those that say which groups there are.
func twinsOf(num uint32) twins {
	kinds := [][2]byte{{kindState, kindState + 1}, {kindIndexed, kindFloor}}
	if num == 0 {
		kinds = [][2]byte{{kindGroup, kindGroup + 1}}
	}
	t := twins{num: num}
	for _, k := range kinds {
		t.rows = append(t.rows, t.span(k[0], k[1]))
	}
	return t
}

func (t twins) span(from, end byte) pebble.KeyRange {
	return pebble.KeyRange{Start: append(be.AppendUint32(nil, t.num), from), End: append(be.AppendUint32(nil, t.num), end)}
}

func (t twins) copies() []pebble.KeyRange { return []pebble.KeyRange{t.span(kindTwin, kindTwin+1)} }

// spansOf is the rows or the copies, if a table from one key to another holds some of them
// and nothing else.
func (t twins) spansOf(from, to []byte) []pebble.KeyRange {
	for _, spans := range [][]pebble.KeyRange{t.rows, t.copies()} {
		for _, s := range spans {
			if string(from) >= string(s.Start) && string(to) < string(s.End) {
				return spans
			}
		}
	}
	return nil
}

// restore makes the rows and their twins alike. Where one cannot be read the other takes
// its place, and what says so. Where both can, the rows are right: an older version does
// not write twins.
func (t twins) restore(db *database) (what string, err error) {
	rows, bad := readRows(db, t.rows)
	copies, badCopies := readRows(db, t.copies())
	for _, err := range []error{bad, badCopies} {
		if err != nil && !pebble.IsCorruptionError(err) {
			return "", err
		}
	}
	state := string(t.rows[0].Start) // the key of the state, if it is a group's
	_, has := rows[state]
	_, had := copies[string(twinKey([]byte(state)))]
	lost := bad == nil && (len(rows) == 0 && len(copies) > 0 || had && !has)
	b := db.NewBatch()
	defer b.Close()
	switch {
	case bad != nil && (badCopies != nil || len(copies) == 0):
		return "", bad
	case badCopies != nil && (len(rows) == 0 || t.num != 0 && !has): // they may have been the only ones
		return "", badCopies
	case bad != nil || lost:
		what, err = t.replace(db, b, t.rows, copies, func(k string) []byte { return slices.Concat([]byte(k[:4]), []byte(k[5:])) })
	case badCopies != nil || !sameRows(rows, copies):
		_, err = t.replace(db, b, t.copies(), rows, func(k string) []byte { return twinKey([]byte(k)) })
		if badCopies != nil {
			what = "a copy of the journal's state was damaged, and was made again"
		}
	}
	if err == nil && !b.Empty() {
		err = b.Commit(pebble.Sync)
	}
	return what, err
}

// replace removes what is in spans, and puts the other rows there, by their keys.
func (twins) replace(db *database, b *pebble.Batch, spans []pebble.KeyRange, from map[string]string, key func(string) []byte) (string, error) {
	if err := excise(db, spans); err != nil {
		return "", err
	}
	for _, k := range slices.Sorted(maps.Keys(from)) {
		if err := b.Set(key(k), []byte(from[k]), nil); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d rows of the journal's state were damaged, and were restored from their copies", len(from)), nil
}

// excise removes spans with the tables that hold nothing else, which may be damaged. When
// it has returned no read comes across them any more.
func excise(db *database, spans []pebble.KeyRange) error {
	for _, s := range spans {
		if err := db.Excise(context.Background(), s); err != nil {
			return err
		}
	}
	return db.settle()
}

func readRows(db *database, spans []pebble.KeyRange) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range spans {
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: s.Start, UpperBound: s.End})
		if err != nil {
			return nil, err
		}
		for ok := it.First(); ok; ok = it.Next() {
			out[string(it.Key())] = string(it.Value())
		}
		err = it.Error()
		if e := it.Close(); err == nil {
			err = e
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func sameRows(rows, copies map[string]string) bool {
	if len(rows) != len(copies) {
		return false
	}
	for k, v := range rows {
		if copied, ok := copies[string(twinKey([]byte(k)))]; !ok || copied != v {
			return false
		}
	}
	return true
}

// restoreTwins restores the rows of a store that are stored twice, and says what it had to
// restore; "" for nothing.
func restoreTwins(db *database) (string, error) {
	said, err := twinsOf(0).restore(db)
	if err != nil {
		return "", failed("restore state", err)
	}
	infos, err := readInfos(db.DB)
	for _, gi := range infos {
		var what string
		if what, err = twinsOf(gi.Num).restore(db); err != nil {
			break
		}
		if what != "" {
			said = what
		}
	}
	return said, failed("restore state", err)
}
