package vcsim_test

import (
	"maps"
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

// cbtDisk is a disk with changed-block tracking, and what was written to it.
type cbtDisk struct {
	*client
	rnd    *rand.Rand
	vm     *object.VirtualMachine
	key    int32
	flat   *os.File
	points []cbtPoint
	// written are the grains written before each point, all those of all points.
	written []map[int64]bool
	all     map[int64]bool
}

type cbtPoint struct {
	snap types.ManagedObjectReference
	id   string
}

const cbtSize = 8*mib + 4096 // the last grain is partial

func TestChangedAreasAreTheWrittenGrains(t *testing.T) {
	c := site(t, vcsim.Config{CBTMaxExtents: 3})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	vm, ref := c.add(vcsim.VMSpec{Name: "x", Disks: []vcsim.DiskSpec{{Size: cbtSize}}, On: true})
	d := &cbtDisk{client: c, rnd: rand.New(rand.NewPCG(seed, 0)), vm: vm, key: ref.Disks[0].Key, all: map[int64]bool{}}
	early := c.snapshot(vm, "before")
	if id := backing(c.snapDisk(early, d.key)).ChangeId; id != "" {
		t.Errorf("changeId %q without change tracking", id)
	}
	if _, _, err := c.areas(vm, &early, c.snapDisk(early, d.key), "*"); !fault.Is(err, &types.FileFault{}) {
		t.Errorf("query without tracking: %v", err)
	}
	c.must(vm.Reconfigure(c.ctx, types.VirtualMachineConfigSpec{ChangeTrackingEnabled: types.NewBool(true)}))
	var err error
	d.flat, err = os.OpenFile(ref.Disks[0].Flat, os.O_RDWR, 0)
	c.ok(err)
	defer d.flat.Close()
	for range 8 {
		d.write()
		d.checkPoint()
	}
	last := d.points[len(d.points)-1]
	c.ok(c.s.ResetCBT("x"))
	snap := c.snapshot(vm, "after the reset")
	disk := c.snapDisk(snap, d.key)
	if _, _, err := c.areas(vm, &snap, disk, last.id); !fault.Is(err, &types.InvalidArgument{}) {
		t.Errorf("stale changeId: %v", err)
	}
	if got, calls, err := c.areas(vm, &snap, disk, "*"); err != nil || len(got) != len(d.all) || calls < 2 && len(d.all) > 100 {
		t.Errorf("%d grains of %d in %d calls: %v", len(got), len(d.all), calls, err)
	}
}

// write writes a few times, through the simulator and behind its back, as QEMU does.
func (d *cbtDisk) write() {
	dirty := map[int64]bool{}
	for range d.rnd.IntN(12) {
		p := make([]byte, 1+d.rnd.IntN(3*grain))
		off := d.rnd.Int64N(cbtSize - int64(len(p)))
		for i := range p {
			p[i] = byte(1 + d.rnd.IntN(255))
		}
		if d.rnd.IntN(2) == 0 {
			d.ok(d.s.GuestWrite("x", d.key, off, p))
		} else if _, err := d.flat.WriteAt(p, off); err != nil {
			d.t.Fatal(err)
		}
		for g := off / grain; g <= (off+int64(len(p))-1)/grain; g++ {
			dirty[g], d.all[g] = true, true
		}
	}
	d.written = append(d.written, dirty)
}

// checkPoint takes a snapshot, and checks its areas since ever and since an earlier
// point.
func (d *cbtDisk) checkPoint() {
	d.t.Helper()
	snap := d.snapshot(d.vm, "p")
	disk := d.snapDisk(snap, d.key)
	d.points = append(d.points, cbtPoint{snap, backing(disk).ChangeId})
	check := func(from string, want map[int64]bool) {
		d.t.Helper()
		got, _, err := d.areas(d.vm, &snap, disk, from)
		d.ok(err)
		if w := slices.Sorted(maps.Keys(want)); !slices.Equal(got, w) {
			d.t.Fatalf("from %s: %v, want %v", from, got, w)
		}
	}
	check("*", d.all)
	from := d.rnd.IntN(len(d.points))
	want := map[int64]bool{}
	for _, w := range d.written[from+1:] {
		maps.Copy(want, w)
	}
	check(d.points[from].id, want)
	if d.rnd.IntN(3) == 0 { // the changeId stays valid without its snapshot
		d.ok(d.removeSnapshot(snap, false))
	}
}
