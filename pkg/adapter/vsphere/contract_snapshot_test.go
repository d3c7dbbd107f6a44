package vsphere_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

func testSnapshots(r *rig) {
	ref := r.make(r.spec("snap"))
	file := r.disk("snap", 4<<20)
	_, err := r.c.Plug(r.ctx, ref, []inventory.Plug{{File: file}})
	r.must(err)
	for range 2 {
		r.must(r.c.Track(r.ctx, ref))
	}
	if !r.see(ref).Tracking {
		r.Error("change tracking is not on")
	}
	r.must(r.c.PowerOn(r.ctx, ref))
	if all, err := r.c.Snapshots(r.ctx, ref); err != nil || len(all) != 0 {
		r.Fatalf("%v, %v", all, err)
	}
	var made []inventory.Snapshot
	for i := range 3 {
		s, err := r.c.Snapshot(r.ctx, ref, fmt.Sprint("tidemark ", i), "a note", false)
		r.must(err)
		if s.Name != fmt.Sprint("tidemark ", i) || s.Note != "a note" || time.Since(s.Created).Abs() > 24*time.Hour {
			r.Errorf("made %+v", s)
		}
		live := r.see(ref).Hardware.Disks
		if len(s.Disks) != 1 || len(live) != 1 || s.Disks[0].File == live[0].File || s.Disks[0].UUID != live[0].UUID ||
			s.Disks[0].Key != live[0].Key || s.Disks[0].Size != 4<<20 || s.Disks[0].ChangeID == "" {
			r.Fatalf("frozen %+v\nlive   %+v", s.Disks, live)
		}
		made = append(made, s)
	}
	if made[0].Disks[0].File != file {
		r.Errorf("the first froze %s, not %s", made[0].Disks[0].File, file)
	}
	same := func(want []inventory.Snapshot) {
		r.Helper()
		all, err := r.c.Snapshots(r.ctx, ref)
		r.must(err)
		if !slices.EqualFunc(all, want, func(a, b inventory.Snapshot) bool {
			return a.Ref == b.Ref && a.Name == b.Name && len(a.Disks) == 1 && a.Disks[0].ChangeID == b.Disks[0].ChangeID
		}) {
			r.Errorf("snapshots %+v\nwant %+v", all, want)
		}
	}
	same(made)
	// One disk cannot be attached twice over, as two of its snapshots.
	other := r.make(r.spec("snap-reader"))
	r.must(r.c.PowerOn(r.ctx, other))
	_, err = r.c.Plug(r.ctx, other, []inventory.Plug{{File: made[0].Disks[0].File, Frozen: true}})
	r.must(err)
	_, err = r.c.Plug(r.ctx, other, []inventory.Plug{{File: made[1].Disks[0].File, Frozen: true}})
	r.is(err, cdp.Conflict, "same UUID")
	if d := r.see(other).Hardware.Disks; len(d) != 1 {
		r.Errorf("attached: %+v", d)
	}
	r.must(r.c.Unplug(r.ctx, other, []string{made[0].Disks[0].File}))

	r.is(r.c.Revert(r.ctx, ref, made[0].Ref), cdp.Conflict, "powered on")
	for range 2 {
		r.must(r.c.RemoveSnapshot(r.ctx, ref, made[1].Ref))
	}
	same([]inventory.Snapshot{made[0], made[2]})
	r.must(r.c.PowerOff(r.ctx, ref))
	r.must(r.c.Revert(r.ctx, ref, made[0].Ref))
	r.must(r.c.RemoveSnapshot(r.ctx, ref, made[0].Ref))
	r.must(r.c.RemoveSnapshot(r.ctx, ref, made[2].Ref))
	r.must(r.c.Consolidate(r.ctx, ref))
	same(nil)
	if d := r.see(ref).Hardware.Disks; len(d) != 1 || len(d[0].Below) != 0 || d[0].File != file {
		r.Errorf("after all were removed: %+v", d)
	}
	_, err = r.c.Snapshot(r.ctx, "VirtualMachine:vm-999999", "x", "", false)
	r.is(err, cdp.NotFound, "")
}

// all is every page of an answer.
func (r *rig) all(ref, snap inventory.Ref, key int32, since string) (areas []inventory.Area, pages int) {
	r.Helper()
	for from := int64(0); ; {
		a, next, err := r.c.Changed(r.ctx, ref, snap, key, since, from)
		r.must(err)
		areas, pages = append(areas, a...), pages+1
		if next == 0 {
			return areas, pages
		}
		if next <= from {
			r.Fatalf("from %d to %d", from, next)
		}
		from = next
	}
}

func testChangedConflicts(r *rig) {
	ref := r.make(r.spec("untracked"))
	file := r.disk("untracked", 4<<20)
	_, err := r.c.Plug(r.ctx, ref, []inventory.Plug{{File: file}})
	r.must(err)
	r.must(r.c.PowerOn(r.ctx, ref))
	s, err := r.c.Snapshot(r.ctx, ref, "untracked", "", false)
	r.must(err)
	key := s.Disks[0].Key
	_, _, err = r.c.Changed(r.ctx, ref, s.Ref, key, "*", 0)
	r.is(err, cdp.Conflict, "was off")
	if cdp.HintOf(err) == "" {
		r.Error("no hint")
	}
	r.must(r.c.RemoveSnapshot(r.ctx, ref, s.Ref))
	r.must(r.c.Track(r.ctx, ref))
	s, err = r.c.Snapshot(r.ctx, ref, "tracked", "", false)
	r.must(err)
	if a, _ := r.all(ref, s.Ref, key, s.Disks[0].ChangeID); len(a) != 0 {
		r.Errorf("changed since itself: %v", a)
	}
	_, _, err = r.c.Changed(r.ctx, ref, s.Ref, key, "52 00 00 00 00 00 00 00-00 00 00 00 00 00 00 00/7", 0)
	r.is(err, cdp.Conflict, "was reset")
	_, _, err = r.c.Changed(r.ctx, ref, s.Ref, key+77, "*", 0)
	r.is(err, cdp.NotFound, fmt.Sprint(key+77))
	_, _, err = r.c.Changed(r.ctx, ref, s.Ref, key, "*", 5<<20)
	r.is(err, cdp.Invalid, "")
	if _, next, err := r.c.Changed(r.ctx, ref, s.Ref, key, "*", 4<<20); err != nil || next != 0 {
		r.Errorf("at the end: %d, %v", next, err)
	}
	r.must(r.c.RemoveSnapshot(r.ctx, ref, s.Ref))
	_, _, err = r.c.Changed(r.ctx, ref, s.Ref, key, "*", 0)
	r.is(err, cdp.NotFound, "")
	if r.sim == nil {
		return
	}
	old := s.Disks[0].ChangeID
	r.must(r.sim.ResetCBT(r.name("untracked")))
	s, err = r.c.Snapshot(r.ctx, ref, "reset", "", false)
	r.must(err)
	_, _, err = r.c.Changed(r.ctx, ref, s.Ref, key, old, 0)
	r.is(err, cdp.Conflict, "was reset")
	r.must(r.c.RemoveSnapshot(r.ctx, ref, s.Ref))
}

// Whatever is written: the areas between two snapshots, copied from the later one,
// turn the earlier one's content into the later one's.
func testChanged(r *rig) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("TIDEMARK_SEED"); s != "" {
		fmt.Sscan(s, &seed)
	}
	r.Logf("TIDEMARK_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	ref := r.make(r.spec("changed"))
	_, err := r.c.Plug(r.ctx, ref, []inventory.Plug{{File: r.disk("changed", trackedSize)}})
	r.must(err)
	r.must(r.c.Track(r.ctx, ref))
	r.must(r.c.PowerOn(r.ctx, ref))
	d := &tracked{rig: r, rng: rng, ref: ref, key: r.see(ref).Hardware.Disks[0].Key, model: make([]byte, trackedSize), touched: []map[int64]bool{{}}}
	for n := range 6 {
		d.write(n)
		s, err := r.c.Snapshot(r.ctx, ref, fmt.Sprint("pass ", n), "", false)
		r.must(err)
		d.ids, d.images, d.touched = append(d.ids, s.Disks[0].ChangeID), append(d.images, bytes.Clone(d.model)), append(d.touched, map[int64]bool{})
		if !bytes.Equal(r.content(s.Disks[0].File), d.model) {
			r.Fatalf("snapshot %d does not hold what was written", n)
		}
		for i := range append([]string{"*"}, d.ids...) {
			d.checkSince(n, s, i-1)
		}
		// A change id stays valid after its snapshot is removed.
		if rng.IntN(3) > 0 {
			all, err := r.c.Snapshots(r.ctx, ref)
			r.must(err)
			r.must(r.c.RemoveSnapshot(r.ctx, ref, all[rng.IntN(len(all))].Ref))
		}
	}
	if !d.paged {
		r.Errorf("no answer came in parts, so paging was not tested")
	}
}

// tracked is a disk with changed-block tracking, and what it must contain.
type tracked struct {
	*rig
	rng     *rand.Rand
	ref     inventory.Ref
	key     int32
	model   []byte
	touched []map[int64]bool // by snapshot: what was written before it, in units of 64 KiB
	ids     []string         // by snapshot
	images  [][]byte         // by snapshot
	paged   bool             // some answer came in parts
}

const trackedSize = 4 << 20

// write writes a few times before snapshot n.
func (d *tracked) write(n int) {
	for range d.rng.IntN(12) {
		off := d.rng.Int64N(trackedSize)
		p := make([]byte, 1+d.rng.IntN(int(min(200<<10, trackedSize-off))))
		if d.rng.IntN(4) > 0 {
			for i := range p {
				p[i] = byte(d.rng.Uint32())
			}
		}
		d.must(d.sim.GuestWrite(d.name("changed"), d.key, off, p))
		copy(d.model[off:], p)
		for g := off >> 16; g <= (off+int64(len(p))-1)>>16; g++ {
			d.touched[n][g] = true
		}
	}
}

// checkSince checks the areas of snapshot n, s, since snapshot from; -1: since ever.
func (d *tracked) checkSince(n int, s inventory.Snapshot, from int) {
	got, id := make([]byte, trackedSize), "*"
	if from >= 0 {
		copy(got, d.images[from])
		id = d.ids[from]
	}
	allowed := map[int64]bool{}
	for _, t := range d.touched[from+1 : n+1] {
		for g := range t {
			allowed[g] = true
		}
	}
	areas, pages := d.all(d.ref, s.Ref, d.key, id)
	d.paged = d.paged || pages > 1
	frozen, end := d.content(s.Disks[0].File), int64(0)
	for _, a := range areas {
		if a.N <= 0 || a.Off < end || a.Off+a.N > trackedSize {
			d.Fatalf("areas %v", areas)
		}
		end = a.Off + a.N
		copy(got[a.Off:end], frozen[a.Off:end])
		for g := a.Off >> 16; g <= (end-1)>>16; g++ {
			if !allowed[g] {
				d.Errorf("snapshot %d since %q: %d was not written", n, id, g<<16)
			}
		}
	}
	if !bytes.Equal(got, d.model) {
		d.Fatalf("snapshot %d since %q: the areas %v are not all that changed", n, id, areas)
	}
}

func (r *rig) content(file string) []byte {
	r.Helper()
	name, err := r.sim.FlatPath(file)
	r.must(err)
	b, err := os.ReadFile(name)
	r.must(err)
	return b
}
