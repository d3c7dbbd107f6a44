package vsphere_test

import (
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

func testDisks(r *rig) {
	file := r.disk("one", 64<<20)
	r.is(r.c.MakeDisk(r.ctx, r.dc.Ref, file, 64<<20), cdp.Conflict, "one.vmdk")
	size, err := r.c.DiskSize(r.ctx, r.dc.Ref, file)
	r.must(err)
	if size != 64<<20 {
		r.Errorf("size %d", size)
	}
	second := r.disk("two", 1<<20) // the folder is there now
	id, err := r.c.DiskUUID(r.ctx, r.dc.Ref, second)
	r.must(err)
	if other, err := r.c.DiskUUID(r.ctx, r.dc.Ref, file); err != nil || other == id {
		r.Errorf("two disks have the UUIDs %q and %q, %v", id, other, err)
	}
	r.is(r.c.DeleteDisk(r.ctx, r.dc.Ref, file, id), cdp.Conflict, "another disk")
	r.must(r.c.DeleteDisk(r.ctx, r.dc.Ref, second, id))
	r.must(r.c.DeleteDisk(r.ctx, r.dc.Ref, second, id))
	r.must(r.c.DeleteDisk(r.ctx, r.dc.Ref, second, ""))
	_, err = r.c.DiskUUID(r.ctx, r.dc.Ref, second)
	r.is(err, cdp.NotFound, "")
	_, err = r.c.DiskSize(r.ctx, r.dc.Ref, second)
	r.is(err, cdp.NotFound, "")
	_, err = r.c.DiskSize(r.ctx, r.dc.Ref, "["+r.store.Name+"] "+r.name("nowhere")+"/x.vmdk")
	r.is(err, cdp.NotFound, "")
	r.is(r.c.MakeDisk(r.ctx, r.dc.Ref, "no datastore", 1<<20), cdp.Invalid, "")
	r.is(r.c.MakeDisk(r.ctx, r.dc.Ref, file+"x", 0), cdp.Invalid, "")
}

func testPlug(r *rig) {
	ref := r.make(r.spec("plug"))
	a, b, c := r.disk("a", 8<<20), r.disk("b", 8<<20), r.disk("c", 8<<20)
	r.must(r.c.PowerOn(r.ctx, ref))
	plugs := []inventory.Plug{{File: a}, {File: b, Address: "scsi0:0"}}
	uuids, err := r.c.Plug(r.ctx, ref, plugs)
	r.must(err)
	for range 2 {
		again, err := r.c.Plug(r.ctx, ref, append(slices.Clone(plugs), inventory.Plug{File: c, Frozen: true}))
		r.must(err)
		if len(again) != 3 || !slices.Equal(again[:2], uuids) || slices.Contains(again, "") || again[2] == again[0] {
			r.Fatalf("UUIDs %v, then %v", uuids, again)
		}
	}
	h := r.see(ref).Hardware
	at := map[string]string{}
	for i, d := range h.Disks {
		at[d.File] = h.Address(d) + " " + d.Mode
		if d.Size != 8<<20 || d.UUID == "" {
			r.Errorf("disk %d: %+v", i, d)
		}
	}
	if at[b] != "scsi0:0 persistent" || at[a] != "scsi0:1 persistent" || at[c] != "scsi0:2 independent_nonpersistent" {
		r.Errorf("disks at %v", at)
	}
	_, err = r.c.Plug(r.ctx, ref, []inventory.Plug{{File: r.disk("d", 1<<20), Address: "scsi0:1"}})
	r.is(err, cdp.Conflict, "taken")
	_, err = r.c.Plug(r.ctx, ref, []inventory.Plug{{File: a, Frozen: true}})
	r.is(err, cdp.Conflict, "persistent")
	_, err = r.c.Plug(r.ctx, ref, []inventory.Plug{{File: r.disk("e", 1<<20), UUID: uuids[0]}})
	r.is(err, cdp.Conflict, "another disk", "datacenter")
	if n := len(r.see(ref).Hardware.Disks); n != 3 {
		r.Errorf("%d disks: another disk than the one that was meant is left attached", n)
	}
	_, err = r.c.Plug(r.ctx, ref, []inventory.Plug{{File: a + "x.vmdk"}})
	r.is(err, cdp.NotFound, "")
	r.is(r.c.Destroy(r.ctx, ref, false), cdp.Conflict, "")

	r.must(r.c.Unplug(r.ctx, ref, []string{a, c, "[" + r.store.Name + "] never/was.vmdk"}))
	r.must(r.c.Unplug(r.ctx, ref, []string{a, c}))
	if d := r.see(ref).Hardware.Disks; len(d) != 1 || d[0].File != b {
		r.Errorf("left: %+v", d)
	}
	r.must(r.c.Unplug(r.ctx, ref, []string{b}))
	if id, err := r.c.DiskUUID(r.ctx, r.dc.Ref, b); err != nil || !strings.EqualFold(id, uuids[1]) {
		r.Errorf("the UUID of a disk is %s, and was %s while it was attached: %v", id, uuids[1], err)
	}
	r.must(r.c.PowerOff(r.ctx, ref))
	for _, f := range []string{a, b, c} {
		if _, err := r.c.DiskSize(r.ctx, r.dc.Ref, f); err != nil {
			r.Errorf("detached, and: %v", err)
		}
	}
}

func testDestroy(r *rig) {
	ref := r.make(r.spec("destroy"))
	kept, lost := r.disk("kept", 1<<20), r.disk("lost", 1<<20)
	_, err := r.c.Plug(r.ctx, ref, []inventory.Plug{{File: kept}, {File: lost}})
	r.must(err)
	r.is(r.c.Destroy(r.ctx, ref, false), cdp.Conflict, kept)
	r.must(r.c.Unplug(r.ctx, ref, []string{kept}))
	r.is(r.c.Destroy(r.ctx, ref, false), cdp.Conflict, lost)
	r.must(r.c.Destroy(r.ctx, ref, true))
	r.must(r.c.Destroy(r.ctx, ref, false))
	if _, err := r.c.DiskSize(r.ctx, r.dc.Ref, kept); err != nil {
		r.Errorf("a disk that was detached: %v", err)
	}
	_, err = r.c.DiskSize(r.ctx, r.dc.Ref, lost)
	r.is(err, cdp.NotFound, "")
}
