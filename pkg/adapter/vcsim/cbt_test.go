package vcsim_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
	"tidemark.dev/pkg/adapter/vcsim"
)

// areas asks until the whole disk is covered, and gives the grains.
func (c *client) areas(vm *object.VirtualMachine, snap *types.ManagedObjectReference, d *types.VirtualDisk, changeID string) ([]int64, int, error) {
	c.t.Helper()
	var grains []int64
	calls := 0
	for off := int64(0); off < d.CapacityInBytes; {
		r, err := methods.QueryChangedDiskAreas(c.ctx, c.Client, &types.QueryChangedDiskAreas{
			This: vm.Reference(), Snapshot: snap, DeviceKey: d.Key, StartOffset: off, ChangeId: changeID,
		})
		if err != nil {
			return nil, calls, err
		}
		calls++
		for _, a := range r.Returnval.ChangedArea {
			if a.Start < off || a.Start+a.Length > r.Returnval.StartOffset+r.Returnval.Length {
				c.t.Fatalf("extent %+v is not in the part covered, from %d on", a, off)
			}
			for g := a.Start / grain; g < (a.Start+a.Length+grain-1)/grain; g++ {
				grains = append(grains, g)
			}
		}
		off = r.Returnval.StartOffset + r.Returnval.Length
	}
	return grains, calls, nil
}

func TestCBT(t *testing.T) {
	c := site(t, vcsim.Config{CBTMaxExtents: 3})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	const size = 8*mib + 4096 // the last grain is a part
	vm, ref := c.add(vcsim.VMSpec{Name: "x", Disks: []vcsim.DiskSpec{{Size: size}}, On: true})
	key := ref.Disks[0].Key
	early := c.snapshot(vm, "before")
	if id := backing(c.snapDisk(early, key)).ChangeId; id != "" {
		t.Errorf("changeId %q without change tracking", id)
	}
	if _, _, err := c.areas(vm, &early, c.snapDisk(early, key), "*"); !fault.Is(err, &types.FileFault{}) {
		t.Errorf("query without tracking: %v", err)
	}
	c.must(vm.Reconfigure(c.ctx, types.VirtualMachineConfigSpec{ChangeTrackingEnabled: types.NewBool(true)}))

	type point struct {
		snap types.ManagedObjectReference
		id   string
		seq  int
	}
	var points []point
	var written []map[int64]bool // by point: what was written before it
	all := map[int64]bool{}
	f, err := os.OpenFile(ref.Disks[0].Flat, os.O_RDWR, 0)
	c.ok(err)
	defer f.Close()
	for n := range 8 {
		dirty := map[int64]bool{}
		for range rnd.IntN(12) {
			p := make([]byte, 1+rnd.IntN(3*grain))
			off := rnd.Int64N(size - int64(len(p)))
			for i := range p {
				p[i] = byte(1 + rnd.IntN(255))
			}
			if rnd.IntN(2) == 0 {
				c.ok(c.s.GuestWrite("x", key, off, p))
			} else if _, err := f.WriteAt(p, off); err != nil { // unseen, as QEMU does
				t.Fatal(err)
			}
			for g := off / grain; g <= (off+int64(len(p))-1)/grain; g++ {
				dirty[g], all[g] = true, true
			}
		}
		written = append(written, dirty)
		snap := c.snapshot(vm, "p")
		d := c.snapDisk(snap, key)
		points = append(points, point{snap, backing(d).ChangeId, n})
		check := func(from string, want map[int64]bool) {
			t.Helper()
			got, _, err := c.areas(vm, &snap, d, from)
			c.ok(err)
			var w []int64
			for g := range want {
				w = append(w, g)
			}
			slices.Sort(w)
			if !slices.Equal(got, w) {
				t.Fatalf("from %s: %v, want %v", from, got, w)
			}
		}
		check("*", all)
		from := points[rnd.IntN(len(points))]
		want := map[int64]bool{}
		for i := from.seq + 1; i <= n; i++ {
			for g := range written[i] {
				want[g] = true
			}
		}
		check(from.id, want)
		if rnd.IntN(3) == 0 { // the changeId stays good without its snapshot
			c.ok(c.removeSnapshot(snap, false))
		}
	}
	last := points[len(points)-1]
	c.ok(c.s.ResetCBT("x"))
	snap := c.snapshot(vm, "after the reset")
	d := c.snapDisk(snap, key)
	if _, _, err := c.areas(vm, &snap, d, last.id); !fault.Is(err, &types.InvalidArgument{}) {
		t.Errorf("stale changeId: %v", err)
	}
	if got, calls, err := c.areas(vm, &snap, d, "*"); err != nil || len(got) != len(all) || calls < 2 && len(all) > 100 {
		t.Errorf("%d grains of %d in %d calls: %v", len(got), len(all), calls, err)
	}
}
