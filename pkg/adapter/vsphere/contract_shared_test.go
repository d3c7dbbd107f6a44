package vsphere_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// The passes of many VMs attach and detach disks of one transporter. Those that wait for
// it share its changes, and one whose disk is not there does not harm the others.
func TestCallersThatWaitShareAChangeOfAVM(t *testing.T) {
	simulated(t, func(r *rig) {
		ref := r.make(r.spec("shared"))
		var files, ids []string
		for i := range 5 {
			files = append(files, r.disk(fmt.Sprint("d", i), 1<<20))
			id, err := r.c.DiskUUID(r.ctx, r.dc.Ref, files[i])
			r.must(err)
			ids = append(ids, id)
		}
		plug := func(ctx context.Context, i int) error {
			got, err := r.c.Plug(ctx, ref, []inventory.Plug{{File: files[i]}})
			if err == nil && (len(got) != 1 || !strings.EqualFold(got[0], ids[i])) {
				r.Errorf("%s: the UUIDs of its disks are %q", files[i], got)
			}
			return err
		}
		unplug := func(i int) error { return r.c.Unplug(r.ctx, ref, files[i:i+1]) }

		before := r.calls("ReconfigVM_Task")
		r.atOnce(ref, func() error { return plug(r.ctx, 0) }, func() error { return plug(r.ctx, 1) }, func() error { return plug(r.ctx, 2) })
		if n := r.calls("ReconfigVM_Task") - before; n != 1 {
			r.Errorf("three disks for three callers took %d changes", n)
		}
		r.attached(ref, files[0], files[1], files[2])

		before = r.calls("ReconfigVM_Task")
		r.atOnce(ref, func() error { return unplug(0) }, func() error { return plug(r.ctx, 3) }, func() error { return unplug(1) }, func() error { return unplug(4) })
		if n := r.calls("ReconfigVM_Task") - before; n != 1 {
			r.Errorf("detaching two disks and attaching one took %d changes", n)
		}
		r.attached(ref, files[2], files[3])

		var missing, another error
		r.atOnce(ref, func() error { return plug(r.ctx, 0) }, func() error { return unplug(2) },
			func() error {
				_, missing = r.c.Plug(r.ctx, ref, []inventory.Plug{{File: files[0] + "x.vmdk"}})
				return nil
			},
			func() error { // not the disk that is meant
				_, another = r.c.Plug(r.ctx, ref, []inventory.Plug{{File: files[4], UUID: ids[1]}})
				return nil
			})
		r.is(missing, cdp.NotFound, "")
		r.is(another, cdp.Conflict, "is another disk")
		r.attached(ref, files[0], files[3])

		// A caller that gives up while it waits leaves the others alone.
		unlock, err := r.c.Hold(r.ctx, ref)
		r.must(err)
		gone, cancel := context.WithCancel(r.ctx)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := plug(gone, 1); err == nil {
				r.Error("it gave up, and was attached")
			}
		})
		r.wait(ref, 1)
		cancel()
		wg.Wait()
		unlock()
		r.must(plug(r.ctx, 2))
		r.attached(ref, files[0], files[2], files[3])
	})
}

func (r *rig) wait(ref inventory.Ref, n int) {
	r.Helper()
	for end := time.Now().Add(time.Minute); r.c.Waiting(ref) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("%d callers wait, not %d", r.c.Waiting(ref), n)
		}
	}
}

// atOnce makes calls that all wait for the VM before the first of them is carried out.
func (r *rig) atOnce(ref inventory.Ref, calls ...func() error) {
	r.Helper()
	unlock, err := r.c.Hold(r.ctx, ref)
	r.must(err)
	var wg sync.WaitGroup
	errs := make([]error, len(calls))
	for i, call := range calls {
		wg.Go(func() { errs[i] = call() })
	}
	r.wait(ref, len(calls))
	unlock()
	wg.Wait()
	for _, err := range errs {
		r.must(err)
	}
}

// attached compares the disks of a VM with what is expected.
func (r *rig) attached(ref inventory.Ref, files ...string) {
	r.Helper()
	inv, err := r.c.Inventory(r.ctx)
	r.must(err)
	has := map[string]bool{}
	for _, v := range inv.VMs {
		for _, d := range v.Hardware.Disks {
			has[d.File] = has[d.File] || v.Ref == ref
		}
	}
	for _, f := range files {
		if !has[f] {
			r.Errorf("%s is not attached", f)
		}
		delete(has, f)
	}
	for f, here := range has {
		if here {
			r.Errorf("%s is attached", f)
		}
	}
}
