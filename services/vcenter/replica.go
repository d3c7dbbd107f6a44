package vcenter

import (
	"context"
	"fmt"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/vmpolicy"
)

// memberRound is one member's part of a round, while it holds the group's lock.
type memberRound struct {
	*round
	m     *member
	group cdp.GroupID
}

// prepareReplica makes the replica VM and its disks, and attaches the disks to the
// transporter.
func (r *memberRound) prepareReplica(ctx context.Context) error {
	m := r.m
	if err := r.replicaVM(ctx); err != nil {
		return err
	}
	if err := r.dropFormer(ctx); err != nil {
		return err
	}
	if err := r.findDisks(ctx); err != nil {
		return err
	}
	if r.attached(ctx) {
		return r.extend(ctx)
	}
	for i := range m.Value.Disks {
		if err := r.disk(ctx, &m.Value.Disks[i]); err != nil {
			return err
		}
	}
	var plugs []inventory.Plug
	for _, d := range m.Value.Disks {
		plugs = append(plugs, inventory.Plug{File: d.File, UUID: d.UUID})
	}
	uuids, paths, err := r.s.hotadd.attach(ctx, r.vc, plugs)
	if err != nil {
		return err
	}
	if err := r.checkSeeds(ctx, uuids); err != nil {
		return err
	}
	changed := false
	for i := range m.Value.Disks {
		d := &m.Value.Disks[i]
		changed = changed || d.UUID != uuids[i] || d.Path != paths[i]
		d.UUID, d.Path = uuids[i], paths[i]
	}
	if changed {
		if err := m.save(ctx); err != nil {
			return err
		}
	}
	return r.extend(ctx)
}

// extend makes the replica's disks as large as the source's are now.
func (r *memberRound) extend(ctx context.Context) error {
	for i := range r.m.Value.Disks {
		d := &r.m.Value.Disks[i]
		if d.Extend == 0 {
			continue
		}
		if err := r.s.hotadd.extend(ctx, r.vc, d.File, d.UUID, d.Extend); err != nil {
			return cdp.Wrap(err, opDisk, d.File)
		}
		was := *d
		d.Disk.Size, d.Extend = d.Extend, 0
		if err := r.m.save(ctx); err != nil {
			*d = was
			return err
		}
	}
	return nil
}

// findDisks records where the replica's disks are now.
func (r *memberRound) findDisks(ctx context.Context) error {
	if !slices.ContainsFunc(r.m.Value.Disks, func(d inventory.MemberDisk) bool { return d.UUID != "" }) {
		return nil // none was ever attached
	}
	site, err := r.s.site(ctx)
	if err != nil {
		return err
	}
	var vms []inventory.VM
	if t, why := r.target.FindVM(site.Transporter); why == "" {
		vms = append(vms, t)
	}
	if v, err := replicaOf(r.m.Value).among(r.target.VMs); err == nil {
		vms = append(vms, v)
	}
	at, err := r.s.hotadd.search(ctx, r.vc, r.target, r.m.Value, vms...)
	if err != nil {
		return err
	}
	_, err = at.refresh(ctx, r.s.report, r.m)
	return err
}

// attached reports whether all disks are known and, by the inventory, attached to
// the transporter.
func (r *memberRound) attached(ctx context.Context) bool {
	site, err := r.s.site(ctx)
	if err != nil {
		return false
	}
	t, why := r.target.FindVM(site.Transporter)
	return why == "" && !slices.ContainsFunc(r.m.Value.Disks, func(d inventory.MemberDisk) bool {
		return d.Path == "" || !slices.ContainsFunc(t.Hardware.Disks, func(x inventory.Disk) bool { return x.File == d.File })
	})
}

// replicaVM makes the VM, or finds the one that was made before a crash, and blocks
// its power-on.
func (r *memberRound) replicaVM(ctx context.Context) error {
	m := r.m
	inv := r.target
	if m.Value.TookFrom != "" {
		if err := r.takeBack(ctx); err != nil {
			return err
		}
	}
	v, err := replicaOf(m.Value).among(inv.VMs)
	if err != nil {
		if inv, err = r.s.cache.fresh(ctx); err != nil {
			return err
		}
		v, err = replicaOf(m.Value).among(inv.VMs)
	}
	if cdp.Is(err, cdp.NotFound) {
		if m.Value.TookFrom != "" {
			return cdp.Wrap(err, "find the old VM", m.Value.Name)
		}
		if _, bad := vmpolicy.Place(inv, r.job.Job.Target); len(bad) > 0 {
			return cdp.Errorf(cdp.Conflict, "make replica VM", m.Value.Name, "%s", bad[0].Text)
		}
		v = inventory.VM{} // the next round sees its UUID
		v.Ref, err = r.vc.MakeVM(ctx, r.newVM())
	}
	if err != nil {
		return err
	}
	if v.Ref != m.Value.Replica || v.UUID != m.Value.ReplicaUUID {
		if v.Ref != m.Value.Replica {
			r.c.note(r.group, func(a *applied) { a.blocked = false })
		}
		m.Value.Replica, m.Value.ReplicaUUID = v.Ref, v.UUID
		if err := m.save(ctx); err != nil {
			return err
		}
	}
	r.watchPower(ctx)
	if r.c.last(r.group).blocked {
		return nil
	}
	if err := r.vc.Block(ctx, m.Value.Replica, "it is a replica: use tidemark failover"); err != nil {
		return err
	}
	r.c.note(r.group, func(a *applied) { a.blocked = true })
	return nil
}

// watchPower raises an alarm if somebody powered the replica VM on, and has it
// blocked again. The VM has no disks, so it does no harm.
func (r *memberRound) watchPower(ctx context.Context) {
	i := slices.IndexFunc(r.target.VMs, func(v inventory.VM) bool { return v.Ref == r.m.Value.Replica })
	on := i >= 0 && r.target.VMs[i].Power == inventory.PoweredOn
	if on == r.c.last(r.group).powered {
		return
	}
	r.c.note(r.group, func(a *applied) { a.powered, a.blocked = on, a.blocked && !on })
	text := "it is off again"
	if on {
		text = replicaRuns
	}
	r.s.report.alarm(ctx, event.AlarmReplicaRuns, r.m.Value.Name, text)
}

const replicaRuns = "its replica VM was powered on by hand while it replicates; the VM has no disks, and replication continues: power it off"

// newVM is the replica VM as it is made.
func (r *memberRound) newVM() inventory.Make {
	m := r.m
	return inventory.Make{
		Name: m.Value.Name, Note: replicaNote(m.Value),
		Folder: r.place.Folder, Pool: r.place.Pool, Host: r.place.Host, Datastore: r.place.Home.Ref,
		Hardware: vmpolicy.ReplicaHardware(m.Value.VM.Hardware), Networks: m.Value.Networks, KeepMAC: r.job.Job.Target.KeepMAC, BIOSUUID: keptUUID(r.job, m.Value),
		Extra: map[string]string{inventory.MarkGroup: m.Value.Group, inventory.MarkJob: m.Value.Job},
	}
}

// keptUUID is the BIOS UUID that the VMs of a member are given; empty: any.
func keptUUID(job spec.VMJob, m inventory.Member) string {
	if !job.Job.Target.KeepUUID {
		return ""
	}
	return m.VM.BIOSUUID
}

func replicaNote(m inventory.Member) string {
	return fmt.Sprintf("Replica of %s, made by Tidemark, job %s. Do not power on: use tidemark failover start %s", m.VM.Name, m.Job, m.Group)
}

// disk makes the replica of one disk, or takes its seed. The file is recorded before
// it is made, so a file of that name is ours after a crash.
func (r *memberRound) disk(ctx context.Context, d *inventory.MemberDisk) error {
	m := r.m
	if d.UUID != "" { // it was attached before
		return nil
	}
	if !slices.ContainsFunc(r.target.Datacenters, func(p inventory.Place) bool { return p.Ref == m.Value.Datacenter }) {
		m.Value.Datacenter = r.place.Datacenter
	}
	seed := inventory.CleanFile(r.job.Job.Target.SeedOf(m.Value.VM, d.Disk))
	if d.Seeded && d.File != seed { // the job names another one now
		if err := r.dropSeed(ctx, d); err != nil {
			return err
		}
	}
	if d.File == "" {
		if seed != "" {
			return r.takeSeed(ctx, d, seed)
		}
		file, err := r.freeFile(ctx, d)
		if err != nil {
			return err
		}
		d.File = file
		if err := m.save(ctx); err != nil {
			return err
		}
	}
	if d.Seeded {
		if err := r.s.seedUnused(ctx, m.Value, d, d.File); err != nil {
			return err
		}
	} else if err := r.vc.MakeDisk(ctx, m.Value.Datacenter, d.File, d.Disk.Size); !cdp.Is(err, cdp.Conflict) {
		return cdp.Wrap(err, opDisk, d.File)
	}
	return r.fits(ctx, d.File, d.Disk.Size)
}

const opDisk = "make replica disk"

// fits is a Conflict if a file is not a disk of that size.
func (r *memberRound) fits(ctx context.Context, file string, size int64) error {
	has, err := r.vc.DiskSize(ctx, r.m.Value.Datacenter, file)
	if err != nil {
		return cdp.Wrap(err, opDisk, file)
	}
	if has != size {
		return cdp.Errorf(cdp.Conflict, opDisk, file, "it has %d bytes, but the source disk has %d", has, size)
	}
	return nil
}

// freeFile is an unused file name for a disk's replica.
func (r *memberRound) freeFile(ctx context.Context, d *inventory.MemberDisk) (string, error) {
	m := r.m
	ds, why := r.target.FindDatastore(r.job.Job.Target.DatastoreOf(m.Value.VM, d.Disk))
	if why == "" && r.target.DatacenterAt(ds.Path) != m.Value.Datacenter {
		why = fmt.Sprintf("the datastore %s is in another datacenter than the replica's other disks", ds.Path)
	}
	if why != "" {
		return "", cdp.Errorf(cdp.NotFound, opDisk, d.Address, "%s", why)
	}
	for n := 1; n < 100; n++ {
		file := inventory.JoinFile(ds.Name, fmt.Sprintf("%s/%s-%s.vmdk", m.Value.Name, m.Value.Name, d.Name))
		if n > 1 {
			file = inventory.JoinFile(ds.Name, fmt.Sprintf("%s/%s-%s-%d.vmdk", m.Value.Name, m.Value.Name, d.Name, n))
		}
		_, err := r.vc.DiskSize(ctx, m.Value.Datacenter, file)
		if cdp.Is(err, cdp.NotFound) {
			return file, nil
		}
		if err != nil && !cdp.Is(err, cdp.Invalid) { // Invalid: the file is not a disk
			return "", err
		}
	}
	return "", cdp.Errorf(cdp.Conflict, opDisk, m.Value.Name, "its directory is full of old disks")
}
