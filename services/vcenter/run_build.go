package vcenter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// build handles api.VMBuild: it makes the test's own VM and disks, and attaches the
// disks to the transporter for the journal to fill.
func (r *run) build(ctx context.Context) (api.VMRunReply, error) {
	var none api.VMRunReply
	if !r.req.Test {
		return none, cdp.Errorf(cdp.Invalid, "build", r.req.Job, "only a test builds a VM")
	}
	if r.rec.Value.Stage == stageGone {
		return none, cdp.Errorf(cdp.Conflict, "build", r.req.Job, "the run is being cleaned up")
	}
	inv, err := r.cache.fresh(ctx)
	if err != nil {
		return none, err
	}
	if err := r.findDisks(ctx); err != nil {
		return none, err
	}
	if len(r.rec.Value.Disks) == 0 {
		if err := r.begin(ctx, inv); err != nil {
			return none, err
		}
	}
	r.tell("makes the test VM "+r.rec.Value.Name, 0, 0)
	if err := r.testVM(ctx, inv); err != nil {
		return none, err
	}
	all := r.disks()
	for i, d := range all {
		r.tell("makes its disks", int64(i), int64(len(all)))
		if err := r.testDisk(ctx, inv, r.rec.Value.Disks[i].File, d.Disk.Size); err != nil {
			return none, err
		}
	}
	r.tell("attaches them to the transporter", 0, 0)
	var plugs []inventory.Plug
	for _, d := range r.rec.Value.Disks {
		plugs = append(plugs, inventory.Plug{File: d.File, UUID: d.UUID})
	}
	uuids, paths, err := r.hotadd.attach(ctx, r.vc, plugs)
	if err != nil {
		return none, err
	}
	err = r.enter(ctx, stageBuilt, func(x *runRecord) {
		x.Disks = slices.Clone(x.Disks)
		for i := range x.Disks {
			x.Disks[i].UUID = uuids[i]
		}
	})
	r.tell("the test VM "+r.rec.Value.Name+" is ready", 0, 0)
	return api.VMRunReply{Paths: paths}, err
}

// begin records what will be made, if there is room for it: a full datastore stops
// all VMs on it.
func (r *run) begin(ctx context.Context, inv inventory.Inventory) error {
	name := vmpolicy.TestName(r.m.Value.Name, r.req.Run)
	var disks []runDisk
	sizes := map[string]int64{}
	dc, err := r.hotadd.datacenterOf(ctx, inv, r.m.Value)
	if err != nil {
		return err
	}
	for _, d := range r.disks() {
		ds, _, _ := strings.Cut(d.File, "]")
		file := fmt.Sprintf("%s] %s/%s-%s.vmdk", ds, name, name, d.Name)
		disks = append(disks, runDisk{File: file})
		sizes[file] = d.Disk.Size
	}
	if why := vmpolicy.NoRoom(inv, dc, sizes); why != "" {
		return cdp.Errorf(cdp.Conflict, "build", r.req.Job, "%s", why).
			WithHint("a test makes a full copy of the replica's disks: free space there, or use --to nbd, which needs little")
	}
	return r.enter(ctx, stageBuilt, func(x *runRecord) { x.Name, x.Disks = name, disks })
}

// testVM makes the VM, or finds it by its marks if it was made before a crash.
func (r *run) testVM(ctx context.Context, inv inventory.Inventory) error {
	v, err := r.vm(ctx)
	if cdp.Is(err, cdp.NotFound) {
		var ref inventory.Ref
		err = r.making(ctx, func() (err error) { ref, err = r.makeTestVM(ctx, inv); return err })
		if err == nil {
			v, err = r.cache.vmAt(ctx, r.vc, ref)
		}
	}
	if err != nil {
		return err
	}
	return r.enter(ctx, stageBuilt, func(x *runRecord) { x.VM, x.UUID = v.Ref, v.UUID })
}

// making records that something is about to be made. If the vCenter's answer is
// lost, cleanup looks again once it must have appeared, if it ever does.
func (r *run) making(ctx context.Context, do func() error) error {
	note := func(at time.Time) error {
		return r.enter(ctx, stageBuilt, func(x *runRecord) { x.Making = at })
	}
	if err := note(r.clock.Now()); err != nil {
		return err
	}
	err := do()
	refused := slices.Contains([]cdp.Kind{cdp.Conflict, cdp.Full, cdp.Invalid, cdp.NotFound}, cdp.KindOf(err))
	if err == nil || refused {
		if err := note(time.Time{}); err != nil {
			return err
		}
	}
	return err
}

func (r *run) makeTestVM(ctx context.Context, inv inventory.Inventory) (inventory.Ref, error) {
	place, err := r.place(ctx, inv)
	if err != nil {
		return "", err
	}
	m := r.m.Value
	job, err := r.jobs.Get(ctx, m.Job)
	if err != nil {
		return "", err
	}
	hw := vmpolicy.ReplicaHardware(m.VM.Hardware)
	hw.NICs = slices.Clone(hw.NICs)
	nets := map[int32]inventory.Ref{}
	for i, n := range hw.NICs {
		if to := m.Isolated[n.Key]; to != "" {
			nets[n.Key] = to
		} else { // it needs a network, but is not connected
			nets[n.Key] = m.Networks[n.Key]
			hw.NICs[i].Connected = false
		}
	}
	return r.vc.MakeVM(ctx, inventory.Make{
		Name: r.rec.Value.Name, Note: fmt.Sprintf("Test of the replica of %s, made by Tidemark, run %s. It is removed with: tidemark failover cleanup %s", m.VM.Name, r.req.Run, m.Group),
		Folder: place.Folder, Pool: place.Pool, Host: place.Host, Datastore: place.Home.Ref, Hardware: hw, Networks: nets, BIOSUUID: keptUUID(job, m),
		Extra: map[string]string{inventory.MarkGroup: m.Group, inventory.MarkJob: m.Job, inventory.MarkRun: r.req.Run},
	})
}

// place is where the job's VMs are placed.
func (r *run) place(ctx context.Context, inv inventory.Inventory) (vmpolicy.Placement, error) {
	job, err := r.jobs.Get(ctx, r.m.Value.Job)
	if cdp.Is(err, cdp.NotFound) {
		return vmpolicy.Placement{}, cdp.Errorf(cdp.Conflict, "place VM", r.rec.Value.Name, "the job %s, which says where, is deleted", r.m.Value.Job).
			WithHint("apply its file again: tidemark apply -f FILE")
	}
	if err != nil {
		return vmpolicy.Placement{}, err
	}
	place, bad := vmpolicy.Place(inv, job.Job.Target)
	for _, p := range bad {
		if p.Rule == "reference" {
			return place, cdp.Errorf(cdp.Conflict, "place VM", r.rec.Value.Name, "%s", p.Text)
		}
	}
	return place, nil
}

// testDisk makes a disk, and reads back that it is there. The file's name is unique to
// the run: an existing one was made before a crash.
func (r *run) testDisk(ctx context.Context, inv inventory.Inventory, file string, size int64) error {
	dc, err := r.hotadd.datacenterOf(ctx, inv, r.m.Value)
	if err != nil {
		return err
	}
	err = r.making(ctx, func() error { return r.vc.MakeDisk(ctx, dc, file, size) })
	if err != nil && !cdp.Is(err, cdp.Conflict) {
		return err
	}
	has, err := r.vc.DiskSize(ctx, dc, file)
	switch {
	case cdp.Is(err, cdp.NotFound):
		err = unseen("make disk", file, "there is no such disk")
	case err == nil && has != size:
		err = cdp.Errorf(cdp.Conflict, "make disk", file, "it has %d bytes, not %d", has, size)
	}
	return err
}
