package vcsim

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// tracker is the changed block tracking of one disk.
//
// A guest outside this process writes without being seen. So what changed
// between two cuts is found by comparing their content, grain by grain, and
// what GuestWrite wrote is added: equal data counts there, as on a real host.
type tracker struct {
	id      string
	seq     int                    // of the last cut
	changed map[int]map[int64]bool // by cut: changed since the one before
	sums    map[int64]uint64       // content at the last cut
	written map[int64]bool         // seen since the last cut
}

// cut is one moment in a tracker's life.
type cut struct {
	id  string
	seq int
}

func (c cut) changeID() string {
	if c.id == "" {
		return ""
	}
	return c.id + "/" + strconv.Itoa(c.seq)
}

func parseChangeID(s string) (cut, bool) {
	id, n, ok := strings.Cut(s, "/")
	seq, err := strconv.Atoi(n)
	return cut{id, seq}, ok && err == nil
}

func newTracker() *tracker {
	h := uuid.New()
	return &tracker{
		id:      fmt.Sprintf("52 % x-% x", h[1:8], h[8:]),
		changed: map[int]map[int64]bool{}, written: map[int64]bool{},
	}
}

// backTo is the tracker as it was at an earlier cut, whose content the file has.
func (t *tracker) backTo(seq int, file string) (*tracker, error) {
	sums, err := hashGrains(file)
	if err != nil {
		return nil, err
	}
	back := &tracker{id: t.id, seq: seq, changed: map[int]map[int64]bool{}, sums: sums, written: map[int64]bool{}}
	for n, set := range t.changed {
		if n <= seq {
			back.changed[n] = set
		}
	}
	return back, nil
}

// cut takes the content of a frozen file as the next state.
func (t *tracker) cut(file string) (cut, error) {
	changed, sums, err := t.since(file)
	if err != nil {
		return cut{}, err
	}
	t.seq++
	t.changed[t.seq], t.sums, t.written = changed, sums, map[int64]bool{}
	return cut{t.id, t.seq}, nil
}

// since are the grains in which a file differs from the last cut.
func (t *tracker) since(file string) (map[int64]bool, map[int64]uint64, error) {
	sums, err := hashGrains(file)
	if err != nil {
		return nil, nil, err
	}
	changed := map[int64]bool{}
	for g, h := range sums {
		if old, ok := t.sums[g]; !ok || old != h {
			changed[g] = true
		}
	}
	for g := range t.sums {
		if _, ok := sums[g]; !ok {
			changed[g] = true
		}
	}
	for g := range t.written {
		changed[g] = true
	}
	return changed, sums, nil
}

// between are the grains changed after one cut and up to another.
func (t *tracker) between(from, to int) map[int64]bool {
	set := map[int64]bool{}
	for n := from + 1; n <= to; n++ {
		for g := range t.changed[n] {
			set[g] = true
		}
	}
	return set
}

func (t *tracker) wrote(off, n int64) {
	for g := off / grain; n > 0 && g <= (off+n-1)/grain; g++ {
		t.written[g] = true
	}
}
