package vsphere_test

import (
	"reflect"
	"slices"
	"testing"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/contract/inventory"
)

// testReading: an inventory reads only those configurations that changed, and whatever
// changes one is seen in the next.
func testReading(r *rig) {
	quiet, ref := r.make(r.spec("quiet")), r.make(r.spec("reading"))
	file, extended := r.disk("reading", 4<<20), r.disk("more", 4<<20)
	var snap inventory.Snapshot
	var err error
	same := func(after string, ref inventory.Ref) {
		v := r.see(ref)
		one, err := r.c.VM(r.ctx, v.UUID)
		r.must(err)
		if !reflect.DeepEqual(one, v) {
			r.Errorf("after %q it is, alone,\n%+v, and in the inventory\n%+v", after, one, v)
		}
	}
	for _, change := range []struct {
		name string
		do   func() error
	}{
		{"made", func() error { return nil }},
		{"label", func() error { return r.c.Label(r.ctx, ref, "", "another note", map[string]string{"tidemark.x": "y"}) }},
		{"rename", func() error { return r.c.Label(r.ctx, ref, r.name("renamed"), "", nil) }},
		{"plug", func() error {
			_, err := r.c.Plug(r.ctx, ref, []inventory.Plug{{File: file}, {File: extended}})
			return err
		}},
		{"extend", func() error { return r.c.Extend(r.ctx, ref, extended, 8<<20) }},
		{"track", func() error { return r.c.Track(r.ctx, ref) }},
		{"on", func() error { return r.c.PowerOn(r.ctx, ref) }},
		{"snapshot", func() error { snap, err = r.c.Snapshot(r.ctx, ref, "tidemark", "", false); return err }},
		{"off", func() error { return r.c.PowerOff(r.ctx, ref) }},
		{"revert", func() error { return r.c.Revert(r.ctx, ref, snap.Ref) }},
		{"remove", func() error { return r.c.RemoveSnapshot(r.ctx, ref, snap.Ref) }},
		{"unplug", func() error { return r.c.Unplug(r.ctx, ref, []string{file, extended}) }},
		{"reshape", func() error {
			h := r.see(ref).Hardware
			h.CPUs++
			return r.c.Reshape(r.ctx, ref, h, map[int32]inventory.Ref{h.NICs[0].Key: r.nets[0], h.NICs[1].Key: r.nets[1]})
		}},
	} {
		r.must(change.do())
		same(change.name, ref)
	}
	same("all of that", quiet)
}

// A reading of an inventory in which nothing changed is one call, whatever it had to ask
// the first time, and what one caller does to it is not seen by another.
func TestAnUnchangedInventoryTakesOneCall(t *testing.T) {
	e := target(t, vcsim.Config{})
	for _, name := range []string{"a", "b"} {
		_, err := e.sim.AddVM(vcsim.VMSpec{Name: name, NICs: []vcsim.NICSpec{{Network: e.sim.Name() + "-dvpg"}}, Tags: []string{"tier/gold"}})
		e.must(err)
	}
	first, err := e.c.Inventory(e.ctx)
	e.must(err)
	before, _ := e.sim.AllCalls()
	for range 2 {
		again, err := e.c.Inventory(e.ctx)
		e.must(err)
		if !reflect.DeepEqual(again, first) {
			t.Fatalf("first\n%+v, then\n%+v", first, again)
		}
		again.VMs[0].Hardware.NICs[0].NetName = "changed by who got it"
	}
	after, _ := e.sim.AllCalls()
	for method, n := range after {
		if d := n - before[method]; d > 0 && (method != "RetrievePropertiesEx" || d > 2) {
			t.Errorf("two readings called %s %d times", method, d)
		}
	}
	// The view ends with the session, or is gone for another reason.
	e.sim.ExpireSessions()
	if again, err := e.c.Inventory(e.ctx); err != nil || !reflect.DeepEqual(again, first) {
		t.Fatalf("after the session: %v\n%+v", err, again)
	}
	// A VM that is gone is in no cache, and nor is a new one.
	e.must(e.c.Destroy(e.ctx, first.VMs[slices.IndexFunc(first.VMs, func(v inventory.VM) bool { return v.Name == "a" })].Ref, true))
	added, err := e.sim.AddVM(vcsim.VMSpec{Name: "c"})
	e.must(err)
	inv, err := e.c.Inventory(e.ctx)
	e.must(err)
	if len(inv.VMs) != 2 || !slices.ContainsFunc(inv.VMs, func(v inventory.VM) bool { return v.UUID == added.UUID }) {
		t.Fatalf("%+v", inv.VMs)
	}
}
