package capture

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/seedtest"
)

// Everything that can go wrong, in any order, under a machine that writes all
// the time and is read in snapshots. Every point offered is a state its disks
// were in; in the end the journal is the disks.
func TestWhateverFailsAFrozenTapBecomesTheDisks(t *testing.T) {
	frozenStories(t, cdp.Tap)
}

func TestWhateverFailsCyclesBecomeTheDisks(t *testing.T) {
	frozenStories(t, cdp.CBT)
}

func frozenStories(t *testing.T, mode cdp.CaptureMode) {
	seed := seedtest.Seed(t)
	stories := 4
	if testing.Short() {
		stories = 2
	}
	for story := range stories {
		t.Run(strconv.Itoa(story), func(t *testing.T) {
			s := seed + uint64(story)
			rng := rand.New(rand.NewPCG(s, 13))
			f := newFrozenWorld(newWorld(t, s), mode)
			if rng.IntN(3) == 0 {
				f.cfg.Touched = 1 + rng.IntN(2)
			}
			if mode == cdp.CBT && rng.IntN(2) == 0 {
				f.job.Every = 20 * time.Millisecond
			}
			f.up()
			f.run(time.Duration(rng.IntN(400))*time.Microsecond, int64(1+rng.IntN(300)))
			for range 60 {
				what := rng.IntN(22)
				if !f.busFault(rng, what) {
					f.mishap(rng, what)
				}
				if err := f.bus.err(); err != nil {
					t.Fatalf("after step %d: %v", what, err)
				}
				time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
			}
			f.settle()
			f.end()
			t.Logf("%d writes, %d snapshots, %d consistent frames, %d bytes sent", f.v.k, f.v.taken, f.r.good, f.r.sent)
			if f.v.broken != nil || len(f.v.snaps) > 0 || f.v.open > 0 {
				t.Fatalf("%v, %d snapshots and %d disks are left", f.v.broken, len(f.v.snaps), f.v.open)
			}
		})
	}
}

// mishap is a step of a story that is no fault of the bus.
func (f *frozenWorld) mishap(rng *rand.Rand, what int) {
	f.t.Helper()
	boot := func() { f.deps.Boot = fmt.Sprintf("boot-%d", rng.Uint32()) }
	switch what {
	case 6, 7:
		f.still(func() {
			f.crash()
			if rng.IntN(4) == 0 { // and the machine boots
				boot()
			}
			f.up()
		})
	case 8:
		f.still(func() {
			f.reports = false
			f.close(time.Duration(rng.IntN(50)) * time.Millisecond)
			if rng.IntN(2) == 0 {
				boot()
			}
			f.up()
		})
	case 9:
		if f.job.Mode == cdp.CBT {
			f.g.Cycle(0)
		} else {
			f.g.Mark(rng.IntN(2) == 0)
		}
	case 10:
		f.heal()
	case 11:
		f.settle()
	case 12:
		f.gone()
	case 13, 14:
		if f.job.Mode == cdp.Tap {
			f.connect()
		}
	case 15:
		f.v.faults(func() { f.v.noFreeze, f.v.noThaw = flip(rng, f.v.noFreeze), flip(rng, f.v.noThaw) })
	case 16:
		f.v.faults(func() {
			f.v.noChanges, f.v.slow = flip(rng, f.v.noChanges), time.Duration(rng.IntN(10))*time.Millisecond
		})
	case 17:
		f.v.faults(func() { f.v.reset++ })
	case 18:
		if err := f.g.Reseed(); err != nil {
			f.t.Fatal(err)
		}
	case 19: // a filter is detached, or its host ends it
		f.still(func() { f.leave(cdp.DiskID(rng.IntN(disks)), true) })
	case 20:
		f.bus.with(func() { f.bus.mute = !f.bus.mute })
	case 21:
		powerLoss(rng, f.bus, f.still, f.crash, f.up)
	}
}

func flip(rng *rand.Rand, err error) error {
	if err != nil || rng.IntN(3) > 0 {
		return nil
	}
	return cdp.Errorf([]cdp.Kind{cdp.Transient, cdp.Conflict}[rng.IntN(2)], "reach", "vcenter", "it is away")
}
