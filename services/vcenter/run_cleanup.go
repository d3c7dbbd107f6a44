package vcenter

import (
	"context"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// remove handles api.VMRemove: it removes everything that a test made, whatever step
// the test had reached.
func (r *run) remove(ctx context.Context) (api.VMRunReply, error) {
	var none api.VMRunReply
	if !r.req.Test {
		return none, cdp.Errorf(cdp.Invalid, "remove", r.req.Job, "only a test's VM is not returned, but removed")
	}
	if !r.rec.exists() {
		return api.VMRunReply{Text: "nothing is left of the test"}, nil
	}
	if err := r.enter(ctx, stageGone, nil); err != nil {
		return none, err
	}
	r.tell("removes the test VM "+r.rec.Value.Name, 0, 0)
	dc, err := r.clear(ctx)
	if err != nil {
		return none, err
	}
	if made := r.rec.Value.Making; !made.IsZero() {
		if left := made.Add(r.cfg.LateFor).Sub(r.clock.Now()); left > 0 {
			r.tell("waits for what the vCenter may still make", 0, 0)
			if err := clock.Sleep(ctx, r.clock, left); err != nil {
				return none, cdp.Wrap(err, "remove", r.req.Job)
			}
			if dc, err = r.clear(ctx); err != nil {
				return none, err
			}
		}
	}
	// Not before: what appears late would seem to be what was not removed.
	if err := r.nothingLeft(ctx, dc); err != nil {
		return none, err
	}
	r.tell("nothing is left of the test", 0, 0)
	return none, r.rec.drop(ctx)
}

// clear deletes the test's VM and disks, as far as they exist now. It gives the datacenter
// of the disks.
func (r *run) clear(ctx context.Context) (dc inventory.Ref, err error) {
	if err := r.findDisks(ctx); err != nil {
		return dc, err
	}
	var files []string
	for _, d := range r.rec.Value.Disks {
		files = append(files, d.File)
	}
	if err := r.hotadd.detach(ctx, r.vc, withFile(files)); err != nil {
		return dc, err
	}
	inv, err := r.cache.fresh(ctx)
	if err != nil {
		return dc, err
	}
	if dc, err = r.hotadd.datacenterOf(ctx, inv, r.m.Value); err != nil {
		return dc, err
	}
	v, err := r.vm(ctx)
	gone := cdp.Is(err, cdp.NotFound)
	if err != nil && !gone {
		return dc, err
	}
	for _, d := range r.rec.Value.Disks {
		if err := onlyUser(inv, dc, d.File, d.UUID, v.Ref); err != nil {
			return dc, err
		}
	}
	if !gone {
		if err := r.destroyTest(ctx, dc, v); err != nil {
			return dc, err
		}
	}
	for _, d := range r.rec.Value.Disks {
		if err := r.vc.DeleteDisk(ctx, dc, d.File, d.UUID); err != nil && !cdp.Is(err, cdp.NotFound) {
			return dc, err
		}
	}
	return dc, nil
}

// nothingLeft is Transient while the vCenter still has the test's VM or a disk of it.
func (r *run) nothingLeft(ctx context.Context, dc inventory.Ref) error {
	v, err := r.vm(ctx)
	switch {
	case err == nil:
		return unseen("remove", v.Name, "the test's VM is still there")
	case !cdp.Is(err, cdp.NotFound):
		return err
	}
	for _, d := range r.rec.Value.Disks {
		has, err := r.vc.DiskUUID(ctx, dc, d.File)
		switch {
		case err == nil && (d.UUID == "" || strings.EqualFold(has, d.UUID)):
			return unseen("remove", d.File, "the disk is still there")
		case err != nil && !cdp.Is(err, cdp.NotFound):
			return err
		}
	}
	return nil
}

// destroyTest deletes the VM with its disks. It first detaches disks that somebody
// else attached to it, which would be deleted too.
func (r *run) destroyTest(ctx context.Context, dc inventory.Ref, v inventory.VM) error {
	if err := r.vc.PowerOff(ctx, v.Ref); err != nil {
		return err
	}
	var foreign []string
	for _, d := range v.Hardware.Disks {
		ours := slices.ContainsFunc(r.rec.Value.Disks, func(x runDisk) bool { return x.File == d.File || x.UUID != "" && x.UUID == d.UUID })
		if !ours {
			foreign = append(foreign, d.File)
		}
	}
	if len(foreign) > 0 {
		if err := r.vc.Unplug(ctx, v.Ref, foreign); err != nil {
			return err
		}
		_, err := r.see(ctx, v, "remove", "a disk that is not the test's is still attached", func(v inventory.VM) bool {
			return !slices.ContainsFunc(v.Hardware.Disks, func(d inventory.Disk) bool { return slices.Contains(foreign, d.File) })
		})
		if err != nil {
			return err
		}
	}
	// Disks that are not attached to it are deleted first, while their folder exists.
	for _, x := range r.rec.Value.Disks {
		if slices.ContainsFunc(v.Hardware.Disks, func(d inventory.Disk) bool { return d.File == x.File || x.UUID != "" && x.UUID == d.UUID }) {
			continue
		}
		if err := r.vc.DeleteDisk(ctx, dc, x.File, x.UUID); err != nil && !cdp.Is(err, cdp.NotFound) {
			return err
		}
	}
	err := r.vc.Destroy(ctx, v.Ref, true)
	if cdp.Is(err, cdp.NotFound) {
		return nil
	}
	return err
}
