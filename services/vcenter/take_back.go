package vcenter

import (
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/vmpolicy"
)

// joinOld makes a member of a VM that runs since a failover. Its replica is the VM that it
// came from, with its own disks, and the record says so before anything is changed.
func (r *round) joinOld(ctx context.Context, group cdp.GroupID, v inventory.VM) error {
	const op = "take the old VM back"
	x := r.job.Reverses
	old, err := r.vc.VM(ctx, x.VM)
	if err != nil {
		return cdp.Wrap(err, op, v.Name)
	}
	if bad := vmpolicy.CheckOld(old, v); len(bad) > 0 {
		return cdp.Errorf(cdp.Conflict, op, old.Name, "%s", bad[0].Text)
	}
	m := &member{in: r.s.records, key: keyMember + string(group)}
	m.Value = inventory.Member{Group: string(group), Job: r.job.Name, VM: v, JoinedAs: v.Name, Name: old.Name, TookFrom: x.Job,
		Replica: old.Ref, ReplicaUUID: old.UUID, Datacenter: r.target.DatacenterAt(old.Path)}
	m.Value.Disks, _ = vmpolicy.OldDisks(old, v)
	m.Value.VM.Hardware.Extra = vmpolicy.ReplicaHardware(v.Hardware).Extra
	wire(&m.Value, r.job.Job.Target, r.target, inventory.Guest{})
	if err := setState(ctx, r.s.report, m, inventory.Preparing, ""); err != nil {
		return err
	}
	r.members = append(r.members, m)
	return nil
}

// takeBack marks the old VM as the replica, forbids its power-on, and detaches the disks
// that are to be overwritten from it. The mark comes first: from then on no pass freezes
// the VM's disks, so that no snapshot is made of what is about to change.
func (r *memberRound) takeBack(ctx context.Context) error {
	const op = "take the old VM back"
	m := r.m.Value
	i := slices.IndexFunc(r.target.VMs, func(v inventory.VM) bool { return v.UUID == m.ReplicaUUID })
	if i >= 0 && replicaOf(m).marks(r.target.VMs[i]) && len(keysOf(m, r.target.VMs[i])) == 0 {
		return nil
	}
	v, err := r.vc.VM(ctx, m.ReplicaUUID)
	if err != nil {
		return cdp.Wrap(err, op, m.Name)
	}
	if !replicaOf(m).marks(v) {
		if bad := vmpolicy.CheckOld(v, m.VM); len(bad) > 0 {
			return cdp.Errorf(cdp.Conflict, op, v.Name, "%s", bad[0].Text)
		}
		if err := r.vc.Label(ctx, v.Ref, "", "", map[string]string{inventory.MarkGroup: m.Group, inventory.MarkJob: m.Job}); err != nil {
			return err
		}
	}
	if err := r.vc.Block(ctx, v.Ref, "it is the replica of "+m.VM.Name+": use tidemark failover"); err != nil {
		return err
	}
	if v, err = r.vc.VM(ctx, m.ReplicaUUID); err != nil {
		return err
	}
	if !replicaOf(m).marks(v) {
		return unseen(op, v.Name, "it does not have its mark")
	}
	keys := keysOf(m, v)
	if len(keys) == 0 {
		return nil
	}
	switch {
	case v.Power != inventory.PoweredOff:
		return cdp.Errorf(cdp.Conflict, op, v.Name, "it is %s", v.Power).WithHint("shut it down: it is not the one that runs since the failover")
	case len(v.Snapshots) > 0:
		return cdp.Errorf(cdp.Conflict, op, v.Name, "it has the snapshot %q", v.Snapshots[0].Name).WithHint("remove it: the disks below it are about to be overwritten")
	}
	if err := r.unfilter(ctx, v, keys); err != nil {
		return err
	}
	var files []string
	for _, d := range m.Disks {
		files = append(files, d.File)
	}
	if err := r.vc.Unplug(ctx, v.Ref, files); err != nil {
		return err
	}
	if v, err = r.vc.VM(ctx, m.ReplicaUUID); err == nil && len(keysOf(m, v)) > 0 {
		err = unseen(op, v.Name, "a disk is still attached")
	}
	return err
}

// keysOf are those of a member's disks that a VM has attached.
func keysOf(m inventory.Member, v inventory.VM) (keys []int32) {
	for _, d := range v.Hardware.Disks {
		if slices.ContainsFunc(m.Disks, func(x inventory.MemberDisk) bool { return x.UUID == d.UUID || x.File == baseOf(d) }) {
			keys = append(keys, d.Key)
		}
	}
	return keys
}

// unfilter detaches the I/O filter that captured the old VM. Filters of others stay.
func (r *memberRound) unfilter(ctx context.Context, v inventory.VM, keys []int32) error {
	var j spec.VMJob
	g, err := r.s.sourced.Group(ctx, r.m.Value.TookFrom)
	if err == nil {
		j, err = r.s.sourced.VMJob(ctx, g.Target.Site, g.Of)
	}
	if cdp.Is(err, cdp.NotFound) || err == nil && j.Job.Source.Filter == "" {
		return nil
	}
	if err != nil {
		return err
	}
	keys = slices.DeleteFunc(slices.Clone(keys), func(k int32) bool {
		i := slices.IndexFunc(v.Hardware.Disks, func(d inventory.Disk) bool { return d.Key == k })
		return !slices.ContainsFunc(v.Hardware.Disks[i].Filters, func(id string) bool { return inventory.SameFilter(id, j.Job.Source.Filter) })
	})
	if len(keys) == 0 {
		return nil
	}
	return r.vc.DetachFilter(ctx, v.Ref, j.Job.Source.Filter, keys)
}
