package vsphere_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// Two clients attach disks to one VM at the same time, as two jobs do to the site's
// transporter.
func testPlugTogether(r *rig) {
	ref := r.make(r.spec("together"))
	r.must(r.c.PowerOn(r.ctx, ref))
	const each = 6 // more than a controller holds, and than are attached at once
	var files [4][]inventory.Plug
	for w := range files {
		for i := range each {
			files[w] = append(files[w], inventory.Plug{File: r.disk(fmt.Sprintf("t%d-%d", w, i), 1<<20)})
		}
	}
	// Another client of the same vCenter stands for another process.
	other := r.dial()
	var wg sync.WaitGroup
	for w, plugs := range files {
		c := r.c
		if w == 3 {
			c = other
		}
		wg.Go(func() {
			for i := 0; i < each; i += 2 {
				uuids, err := c.Plug(r.ctx, ref, plugs[i:i+2])
				if err != nil || len(uuids) != 2 {
					r.Errorf("worker %d: %v, %v", w, uuids, err)
				}
			}
		})
	}
	wg.Wait()
	h := r.see(ref).Hardware
	at := map[string]bool{}
	for _, d := range h.Disks {
		at[h.Address(d)] = true
	}
	if len(h.Disks) != len(files)*each || len(at) != len(h.Disks) {
		r.Errorf("%d disks at %d addresses", len(h.Disks), len(at))
	}
	var all []string
	for _, plugs := range files {
		for _, p := range plugs {
			all = append(all, p.File)
		}
	}
	r.must(r.c.Unplug(r.ctx, ref, all))
}

// A call that is interrupted at any point and repeated ends like an uninterrupted
// one.
func testBrokenOff(r *rig) {
	ref := r.make(r.spec("broken"))
	r.must(r.c.PowerOn(r.ctx, ref))
	var plugs []inventory.Plug
	var files []string
	for i := range 3 {
		plugs = append(plugs, inventory.Plug{File: r.disk(fmt.Sprint("broken", i), 1<<20)})
		files = append(files, plugs[i].File)
	}
	// until is fn broken off after longer and longer times, until it ends.
	until := func(what string, fn func(context.Context) error) {
		for wait := time.Millisecond; ; wait = wait * time.Duration(120+rand.IntN(100)) / 100 {
			ctx, cancel := context.WithTimeout(r.ctx, wait)
			err := fn(ctx)
			cancel()
			if err == nil {
				return
			}
			if !cdp.Is(err, cdp.Transient) || wait > time.Minute {
				r.Fatalf("%s, broken off after %v: %v", what, wait, err)
			}
		}
	}
	for range 2 {
		until("Plug", func(ctx context.Context) error { _, err := r.c.Plug(ctx, ref, plugs); return err })
		if d := r.see(ref).Hardware.Disks; len(d) != 3 {
			r.Fatalf("attached: %+v", d)
		}
		until("Unplug", func(ctx context.Context) error { return r.c.Unplug(ctx, ref, files) })
		if d := r.see(ref).Hardware.Disks; len(d) != 0 {
			r.Fatalf("left: %+v", d)
		}
		until("Label", func(ctx context.Context) error {
			return r.c.Label(ctx, ref, "", "again", map[string]string{"tidemark.n": fmt.Sprint(time.Now())})
		})
		until("PowerOff", func(ctx context.Context) error { return r.c.PowerOff(ctx, ref) })
		until("Block", func(ctx context.Context) error { return r.c.Block(ctx, ref, "broken off") })
		until("Unblock", func(ctx context.Context) error { return r.c.Unblock(ctx, ref) })
		until("PowerOn", func(ctx context.Context) error { return r.c.PowerOn(ctx, ref) })
	}
	r.must(r.c.PowerOff(r.ctx, ref))
	until("Destroy", func(ctx context.Context) error { return r.c.Destroy(ctx, ref, false) })
}

// Nobody else can write to the disks of a running VM.
func testLocked(r *rig) {
	owner, other := r.make(r.spec("owner")), r.make(r.spec("other"))
	file, free := r.disk("locked", 1<<20), r.disk("free", 1<<20)
	_, err := r.c.Plug(r.ctx, owner, []inventory.Plug{{File: file}})
	r.must(err)
	r.must(r.c.PowerOn(r.ctx, owner))
	r.must(r.c.PowerOn(r.ctx, other))
	_, err = r.c.Plug(r.ctx, other, []inventory.Plug{{File: free}, {File: file}})
	r.is(err, cdp.Conflict, r.name("owner"))
	if d := r.see(other).Hardware.Disks; len(d) != 0 {
		r.Errorf("attached all the same: %+v", d)
	}
	r.is(r.c.DeleteDisk(r.ctx, r.dc.Ref, file, ""), cdp.Conflict, "")
	r.must(r.c.Unplug(r.ctx, owner, []string{file}))
	_, err = r.c.Plug(r.ctx, other, []inventory.Plug{{File: free}, {File: file}})
	r.must(err)
	r.must(r.c.Unplug(r.ctx, other, []string{free, file}))
}

// The session expires now and then during changes.
func testExpiry(r *rig) {
	ref := r.make(r.spec("expiry"))
	file := r.disk("expiry", 1<<20)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				r.sim.ExpireSessions()
			}
		}
	})
	defer func() { close(stop); wg.Wait() }()
	for range 3 {
		// A session that ends twice within one call is reported as Transient.
		r.persist(func() error { _, err := r.c.Plug(r.ctx, ref, []inventory.Plug{{File: file}}); return err })
		r.persist(func() error { return r.c.PowerOn(r.ctx, ref) })
		r.persist(func() error { _, err := r.c.Snapshot(r.ctx, ref, "expiry", "", false); return err })
		var all []inventory.Snapshot
		r.persist(func() (err error) { all, err = r.c.Snapshots(r.ctx, ref); return err })
		for _, s := range all {
			r.persist(func() error { return r.c.RemoveSnapshot(r.ctx, ref, s.Ref) })
		}
		r.persist(func() error { return r.c.PowerOff(r.ctx, ref) })
		r.persist(func() error { return r.c.Unplug(r.ctx, ref, []string{file}) })
	}
}

func (r *rig) persist(fn func() error) {
	r.Helper()
	for r.ctx.Err() == nil {
		err := fn()
		if err == nil {
			return
		}
		if !cdp.Is(err, cdp.Transient) {
			r.Fatal(err)
		}
	}
	r.Fatal("does not come to an end")
}

// A call of a dead process to detach a disk reaches the vCenter late, when another
// disk has the same slot.
func testLateUnplug(r *rig) {
	ref := r.make(r.spec("late"))
	old, next := r.disk("old", 1<<20), r.disk("next", 1<<20)
	_, err := r.c.Plug(r.ctx, ref, []inventory.Plug{{File: old}})
	r.must(err)
	dead := r.dial()
	r.sim.Delay("ReconfigVM_Task", 2*time.Second, 1)
	called, answered := r.calls("ReconfigVM_Task"), make(chan error, 1)
	ctx, kill := context.WithCancel(r.ctx)
	go func() { answered <- dead.Unplug(ctx, ref, []string{old}) }()
	for r.calls("ReconfigVM_Task") == called {
		time.Sleep(time.Millisecond)
	}
	kill()
	<-answered
	r.must(r.c.Unplug(r.ctx, ref, []string{old}))
	_, err = r.c.Plug(r.ctx, ref, []inventory.Plug{{File: next}})
	r.must(err)
	for r.sim.Late() > 0 {
		time.Sleep(10 * time.Millisecond)
	}
	for range 20 { // its task begins only now
		if d := r.see(ref).Hardware.Disks; len(d) != 1 || d[0].File != next {
			r.Fatalf("the late call detached what it did not mean: %+v", d)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
