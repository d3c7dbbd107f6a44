package journal

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/retention"
	"tidemark.dev/pkg/seedtest"
)

// sharer is a journal as the policy sees it: its points, each of which took some bytes.
type sharer struct {
	points  []cdp.Point
	bytes   []int64
	horizon cdp.Seq
	paid    int
	pace    int64 // bytes a tick
	lock    time.Duration
	pinned  bool // its fifth point
	refused int  // ticks in which the disk had no room for it
}

// write stores one point of the tick, unless the disk has no room.
func (j *sharer) write(room *diskRoom, disk *usedSpace, now time.Time) {
	if room.begin(j.pace) != nil {
		j.refused++
		return
	}
	room.end(j.pace)
	seq := cdp.Seq(1)
	if len(j.points) > 0 {
		seq = j.points[len(j.points)-1].Seq + 1
	}
	j.points = append(j.points, cdp.Point{Frame: cdp.FrameNo(seq), Seq: seq, Time: now, Ran: time.Duration(now.UnixNano()), Pinned: j.pinned && seq == 5})
	j.bytes = append(j.bytes, 2*j.pace) // a floor for each block
	disk.Own += 2 * j.pace
	disk.diskUse.Free -= 2 * j.pace
}

// tend gives up what the journal owes by the disk's last measurement.
func (j *sharer) tend(room *diskRoom, disk *usedSpace, now time.Time) {
	owes := room.owes()
	if len(j.points) == 0 || j.paid == owes.round {
		return
	}
	head := j.points[len(j.points)-1].Seq
	in := decide(outlook{Now: now, Known: true, Points: j.points, History: 1000 * time.Hour, Owed: owes.part(),
		Bounds: cdp.Bounds{Horizon: j.horizon, Base: head, Head: head},
		Lock:   retention.Lock{For: j.lock, Ran: time.Duration(now.UnixNano())}})
	if !in.Cut {
		return
	}
	j.paid, j.horizon = owes.round, in.Horizon
	for len(j.points) > 0 && j.points[0].Seq < in.Horizon {
		disk.Own -= j.bytes[0]
		disk.diskUse.Free += j.bytes[0]
		j.points, j.bytes = j.points[1:], j.bytes[1:]
	}
}

// Many journals fill one disk, at paces of their own. As long as one of them has history
// that policy may drop, none stops; each pays by what it takes; locked and pinned
// history stays. When somebody else fills the disk, they stop, and nothing is given up.
func TestManyJournalsShareANearlyFullDisk(t *testing.T) {
	const reserve, size = 256 << 20, 3 << 30
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 8))
	disk := &usedSpace{diskUse: diskUse{Free: size}}
	times := clock.NewSimulated(time.Unix(1_800_000_000, 0))
	room := newDiskRoom(Config{Dir: filepath.Join(t.TempDir(), "x"), Reserve: reserve, Beat: time.Second}, Deps{Space: disk, Clock: times})
	journals := make([]*sharer, 16)
	for i := range journals {
		journals[i] = &sharer{pace: 64<<10 + rng.Int64N(1<<20)}
	}
	locked := journals[7]
	locked.lock, locked.pace = 2000*time.Hour, 64<<10
	pinned := journals[9]
	pinned.pinned, pinned.pace = true, 64<<10
	tick := func() { // the disk is measured in each
		times.Advance(time.Minute)
		now := times.Now()
		for _, j := range journals {
			j.write(room, disk, now)
		}
		for _, j := range journals {
			j.tend(room, disk, now)
		}
	}
	for range 300 {
		tick()
	}
	for i, j := range journals {
		switch {
		case j.refused > 0:
			t.Errorf("journal %d was stopped %d times, and there was history to give up", i, j.refused)
		case j != locked && j != pinned && (len(j.points) < 20 || len(j.points) == 300):
			t.Errorf("journal %d, at %d KiB a tick, has %d points left", i, j.pace>>10, len(j.points))
		}
	}
	if pinned.points[0].Seq > 5 {
		t.Error("a pinned point was given up")
	}
	if len(locked.points) != 300 {
		t.Errorf("a locked journal has %d of 300 points", len(locked.points))
	}
	disk.Others, disk.diskUse.Free = disk.Others+disk.diskUse.Free, 0
	before := journals[0].points[0]
	for range 20 {
		tick()
	}
	for i, j := range journals {
		if j.refused != 20 {
			t.Errorf("journal %d took in frames on a full disk", i)
		}
	}
	if journals[0].points[0].Seq != before.Seq {
		t.Error("what somebody else stored cost history")
	}
}

// recorded are moves that fail as the test says.
type recorded struct {
	cdp.Bounds
	fails error
	made  []string
}

func (r *recorded) Raise(_ context.Context, to cdp.Seq) error {
	r.made = append(r.made, fmt.Sprint("raise ", to))
	return r.fails
}
func (r *recorded) Merge(_ context.Context, to cdp.Seq) error {
	r.made = append(r.made, fmt.Sprint("merge ", to))
	return r.fails
}
func (r *recorded) Retain(_ context.Context, to cdp.Seq) error {
	r.made = append(r.made, fmt.Sprint("retain ", to))
	return nil
}

type recordedMoves struct{ *recorded }

func (r recordedMoves) Bounds() cdp.Bounds { return r.recorded.Bounds }

// On a full disk base cannot follow. History that lies before it is given up all the same.
func TestHistoryIsGivenUpWhereBaseCannotFollow(t *testing.T) {
	full := cdp.Errorf(cdp.Full, "write", "", "no space left on device")
	broken := cdp.Errorf(cdp.Corrupt, "read", "", "a bad block")
	for _, c := range []struct {
		about string
		fails error
		in    intent
		want  []string
		moved bool
	}{
		{"there is room", nil, intent{Raise: 9, Horizon: 4}, []string{"raise 9", "retain 4"}, true},
		{"the disk is full", full, intent{Raise: 9, Horizon: 4}, []string{"raise 9", "retain 4"}, true},
		{"history goes past base", full, intent{Raise: 9, Horizon: 7}, []string{"raise 9"}, false},
		{"both move together", full, intent{Raise: 7, Horizon: 7, Merge: true}, []string{"merge 7"}, false},
		{"the disk is damaged", broken, intent{Raise: 9, Horizon: 4}, []string{"raise 9"}, false},
	} {
		r := &recorded{Bounds: cdp.Bounds{Horizon: 1, Base: 5, Head: 9}, fails: c.fails}
		if c.fails == nil {
			r.Base = 9
		}
		moved, err := move(context.Background(), recordedMoves{r}, c.in)
		if moved != c.moved || err != c.fails || !slices.Equal(r.made, c.want) {
			t.Errorf("%s: made %v, moved %v, %v; want %v", c.about, r.made, moved, err, c.want)
		}
	}
}
