package vcenter

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// tend brings one member on: its replica VM, its disks at the transporter, its
// own job. Each step is found done after a crash.
func (r *round) tend(ctx context.Context, m *member) error {
	if m.Value.State == inventory.Refused || m.Value.State == inventory.Gone && m.Value.Replica == "" {
		return nil
	}
	whole := ctx
	group := cdp.GroupID(m.Value.Group)
	ctx, unlock, ok, err := r.hold(ctx, m)
	if err == nil && !ok {
		err = r.stillAt(group)
	}
	if err != nil || !ok {
		return err
	}
	defer unlock()
	r.tell(group, func(t *told) { t.since = r.s.deps.Clock.Now() })
	defer r.tell(group, func(t *told) { t.since = time.Time{} })
	if m.Value.State == inventory.Refused {
		return nil
	}
	err = r.stand(ctx, m)
	if err == nil {
		err = r.own(ctx, m)
	}
	if err == nil {
		if m.Value.State == inventory.Preparing {
			return r.s.become(ctx, m, inventory.Ready, "")
		}
		return nil
	}
	if brokenOff(ctx) {
		return nil
	}
	if m.Value.State == inventory.Preparing && m.Value.Trouble != err.Error() {
		if berr := r.s.become(whole, m, inventory.Preparing, err.Error()); berr != nil {
			r.s.deps.Notify(berr)
		}
	}
	return cdp.Wrap(err, "prepare replica", m.Value.VM.Name)
}

// stillAt is Transient while an earlier round's look at a VM has not ended.
func (r *round) stillAt(group cdp.GroupID) error {
	since := r.told(group).since
	if since.IsZero() {
		return nil
	}
	return cdp.Errorf(cdp.Transient, "prepare replica", string(group), "it is still under way, since %s", since.UTC().Format(time.TimeOnly))
}

// stand makes the replica VM and its disks, and attaches those to the
// transporter.
func (r *round) stand(ctx context.Context, m *member) error {
	if err := r.replicaVM(ctx, m); err != nil {
		return err
	}
	if r.attached(ctx, m) {
		return nil
	}
	for i := range m.Value.Disks {
		if err := r.disk(ctx, m, i); err != nil {
			return err
		}
	}
	var plugs []inventory.Plug
	for _, d := range m.Value.Disks {
		plugs = append(plugs, inventory.Plug{File: d.File})
	}
	uuids, paths, err := r.s.plugIn(ctx, r.vc, plugs)
	if err != nil {
		return err
	}
	if err := r.seedsAlone(ctx, m, uuids); err != nil {
		return err
	}
	changed := false
	for i := range m.Value.Disks {
		d := &m.Value.Disks[i]
		changed = changed || d.UUID != uuids[i] || d.Path != paths[i]
		d.UUID, d.Path = uuids[i], paths[i]
	}
	if !changed {
		return nil
	}
	return m.save(ctx, r.s)
}

// attached says whether all is known and at the transporter, as far as the
// inventory tells.
func (r *round) attached(ctx context.Context, m *member) bool {
	site, err := r.s.deps.Site(ctx)
	if err != nil {
		return false
	}
	t, why := r.target.FindVM(site.Transporter)
	return why == "" && !slices.ContainsFunc(m.Value.Disks, func(d inventory.MemberDisk) bool {
		return d.Path == "" || !slices.ContainsFunc(t.Hardware.Disks, func(x inventory.Disk) bool { return x.File == d.File })
	})
}

// replicaVM makes the VM, or finds the one that was made before a crash, and
// blocks its power-on.
func (r *round) replicaVM(ctx context.Context, m *member) error {
	group := cdp.GroupID(m.Value.Group)
	v, err := replicaOf(m.Value).among(r.target.VMs)
	inv := r.target
	if err != nil {
		if inv, err = r.s.inventory(ctx, true); err != nil {
			return err
		}
		v, err = replicaOf(m.Value).among(inv.VMs)
	}
	if cdp.Is(err, cdp.NotFound) {
		if _, bad := vmpolicy.Place(inv, r.job.Job.Target); len(bad) > 0 {
			return cdp.Errorf(cdp.Conflict, "make replica VM", m.Value.Name, "%s", bad[0].Text)
		}
		v = inventory.VM{} // its UUID is seen at the next look
		v.Ref, err = r.vc.MakeVM(ctx, r.made(m))
	}
	if err != nil {
		return err
	}
	if v.Ref != m.Value.Replica || v.UUID != m.Value.ReplicaUUID {
		if v.Ref != m.Value.Replica {
			r.tell(group, func(t *told) { t.blocked = false })
		}
		m.Value.Replica, m.Value.ReplicaUUID = v.Ref, v.UUID
		if err := m.save(ctx, r.s); err != nil {
			return err
		}
	}
	r.lookIfItRuns(ctx, m)
	if r.told(group).blocked {
		return nil
	}
	if err := r.vc.Block(ctx, m.Value.Replica, "it is a replica: use tidemark failover"); err != nil {
		return err
	}
	r.tell(group, func(t *told) { t.blocked = true })
	return nil
}

// lookIfItRuns tells of a replica that somebody powered on, and has it blocked
// again. It has no disks, so nothing of it comes to harm.
func (r *round) lookIfItRuns(ctx context.Context, m *member) {
	group := cdp.GroupID(m.Value.Group)
	i := slices.IndexFunc(r.target.VMs, func(v inventory.VM) bool { return v.Ref == m.Value.Replica })
	runs := i >= 0 && r.target.VMs[i].Power == inventory.PoweredOn
	if runs == r.told(group).runs {
		return
	}
	r.tell(group, func(t *told) { t.runs, t.blocked = runs, t.blocked && !runs })
	text := "it is off again"
	if runs {
		text = replicaRuns
	}
	r.s.alarm(ctx, event.AlarmReplicaRuns, m.Value.Name, text)
}

const replicaRuns = "its replica VM was powered on by hand while it replicates; it has no disks there, and replication goes on: power it off"

// made is the replica VM as it is made.
func (r *round) made(m *member) inventory.Make {
	return inventory.Make{
		Name: m.Value.Name, Note: replicaNote(m.Value),
		Folder: r.place.Folder, Pool: r.place.Pool, Host: r.place.Host, Datastore: r.place.Home.Ref,
		Hardware: vmpolicy.ReplicaHardware(m.Value.VM.Hardware), Networks: m.Value.Networks, KeepMAC: r.job.Job.Target.KeepMAC,
		Extra: map[string]string{inventory.MarkGroup: m.Value.Group, inventory.MarkJob: m.Value.Job},
	}
}

func replicaNote(m inventory.Member) string {
	return fmt.Sprintf("Replica of %s, made by Tidemark, job %s. Do not power on: use tidemark failover start %s", m.VM.Name, m.Job, m.Group)
}

// disk makes the replica of one disk, or takes the seed that is there. Its file
// is recorded before it is made: so after a crash a file of that name is ours.
func (r *round) disk(ctx context.Context, m *member, i int) error {
	d := &m.Value.Disks[i]
	if d.UUID != "" { // it was attached before
		return nil
	}
	seed := inventory.CleanFile(r.job.Job.Target.SeedOf(m.Value.VM, d.Disk))
	if d.Seeded && d.File != seed { // the job names another by now
		if err := r.leaveSeed(ctx, m, d); err != nil {
			return err
		}
	}
	if d.File == "" {
		if seed != "" {
			return r.takeSeed(ctx, m, d, seed)
		}
		file, err := r.freeFile(ctx, m, d)
		if err != nil {
			return err
		}
		d.File = file
		if err := m.save(ctx, r.s); err != nil {
			return err
		}
	}
	if d.Seeded {
		if err := r.s.seedFree(ctx, m.Value, d, d.File); err != nil {
			return err
		}
	} else if err := r.vc.MakeDisk(ctx, r.place.Datacenter, d.File, d.Disk.Size); !cdp.Is(err, cdp.Conflict) {
		return cdp.Wrap(err, opDisk, d.File)
	}
	return r.fits(ctx, d.File, d.Disk.Size)
}

const opDisk = "make replica disk"

// fits is Conflict if a file is no disk of that size.
func (r *round) fits(ctx context.Context, file string, size int64) error {
	has, err := r.vc.DiskSize(ctx, r.place.Datacenter, file)
	if err != nil {
		return cdp.Wrap(err, opDisk, file)
	}
	if has != size {
		return cdp.Errorf(cdp.Conflict, opDisk, file, "it has %d bytes, and the disk it should be a copy of has %d", has, size)
	}
	return nil
}

// freeFile is a name for a disk's replica under which there is no file.
func (r *round) freeFile(ctx context.Context, m *member, d *inventory.MemberDisk) (string, error) {
	ds := r.job.Job.Target.DatastoreOf(m.Value.VM, d.Disk)
	name := ""
	for _, x := range r.target.Datastores {
		if x.Path == ds || x.Name == ds {
			name = x.Name
		}
	}
	if name == "" {
		return "", cdp.Errorf(cdp.NotFound, opDisk, d.Address, "there is no datastore %q", ds)
	}
	for n := 1; n < 100; n++ {
		file := fmt.Sprintf("[%s] %s/%s-%s.vmdk", name, m.Value.Name, m.Value.Name, d.Name)
		if n > 1 {
			file = fmt.Sprintf("[%s] %s/%s-%s-%d.vmdk", name, m.Value.Name, m.Value.Name, d.Name, n)
		}
		_, err := r.vc.DiskSize(ctx, r.place.Datacenter, file)
		if cdp.Is(err, cdp.NotFound) {
			return file, nil
		}
		if err != nil && !cdp.Is(err, cdp.Invalid) { // Invalid: something is there that is no disk
			return "", err
		}
	}
	return "", cdp.Errorf(cdp.Conflict, opDisk, m.Value.Name, "its directory is full of old disks")
}

func (r *round) told(g cdp.GroupID) told {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return r.c.told[g]
}

func (r *round) tell(g cdp.GroupID, change func(*told)) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	t := r.c.told[g]
	change(&t)
	r.c.told[g] = t
}
