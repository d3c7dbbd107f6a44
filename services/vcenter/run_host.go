package vcenter

import (
	"context"
	"fmt"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// onLivingHost is the replica VM, or another one in its place if its host is down or in
// maintenance mode: nothing can be done with a VM there, and its disks are elsewhere. The
// old VM has no disks, and is removed once its host is back; see dropFormer.
func (r *run) onLivingHost(ctx context.Context, v inventory.VM) (inventory.VM, error) {
	const op = "choose another host"
	inv, err := r.cache.fresh(ctx)
	if err != nil {
		return v, err
	}
	host := slices.IndexFunc(inv.Hosts, func(h inventory.Host) bool { return h.Ref == v.Host })
	if host < 0 || runsVMs(inv.Hosts[host]) || v.Power == inventory.PoweredOn || len(v.Hardware.Disks) > 0 {
		return v, nil
	}
	place, err := r.place(ctx, inv)
	if err != nil {
		return v, err
	}
	if !slices.ContainsFunc(place.Hosts, runsVMs) {
		return v, cdp.Errorf(cdp.Conflict, op, v.Name, "its host %s is down or in maintenance mode, and so is every other one that the job %s may use", inv.Hosts[host].Name, r.m.Value.Job).
			WithHint("apply the job with another target.cluster or target.host, and continue the failover")
	}
	r.tell("makes another VM, because the host "+inv.Hosts[host].Name+" is down", 0, 0)
	made, err := r.anotherShell(ctx, inv, v, place)
	if err != nil {
		return v, cdp.Wrap(err, op, v.Name)
	}
	m := &r.m.Value
	if m.TookFrom == "" { // else it was not made here, and stays
		m.Former = append(slices.Clone(m.Former), v.UUID)
	}
	m.Name, m.Replica, m.ReplicaUUID = made.Name, made.Ref, made.UUID
	if err := r.m.save(ctx); err != nil {
		return v, err
	}
	r.report.member(ctx, *m, fmt.Sprintf("the host %s of its replica %s is down: the failover %s starts %s on another host. %s has no disks, and can be removed",
		inv.Hosts[host].Name, v.Path, r.req.Run, made.Name, v.Path))
	return made, r.enter(ctx, r.rec.Value.Stage, func(x *runRecord) { x.VM, x.Name = made.Ref, made.Name })
}

func runsVMs(h inventory.Host) bool { return h.State == "connected" && !h.Maintenance }

// anotherShell makes a VM like the replica VM old, or finds the one that was made before
// a crash: it has the replica's marks, and is on a host that is up.
func (r *run) anotherShell(ctx context.Context, inv inventory.Inventory, old inventory.VM, place vmpolicy.Placement) (inventory.VM, error) {
	m := r.m.Value
	marks := replicaOf(m)
	for _, v := range inv.VMs {
		up := slices.ContainsFunc(place.Hosts, func(h inventory.Host) bool { return h.Ref == v.Host && runsVMs(h) })
		if marks.marks(v) && v.UUID != old.UUID && up && len(v.Hardware.Disks) == 0 && v.Power == inventory.PoweredOff && v.Mark(inventory.MarkInstead) == old.UUID {
			return v, nil
		}
	}
	name := m.Name
	for n := 2; slices.ContainsFunc(inv.VMs, func(v inventory.VM) bool { return v.Name == name }); n++ {
		name = fmt.Sprintf("%s-%d", m.Name, n)
	}
	job, err := r.jobs.Get(ctx, m.Job)
	if err != nil {
		return inventory.VM{}, err
	}
	ref, err := r.vc.MakeVM(ctx, inventory.Make{
		Name: name, Note: replicaNote(m), Folder: place.Folder, Pool: place.Pool, Host: place.Host, Datastore: place.Home.Ref,
		Hardware: vmpolicy.ReplicaHardware(m.VM.Hardware), Networks: m.Networks, KeepMAC: job.Job.Target.KeepMAC, BIOSUUID: keptUUID(job, m),
		Extra: map[string]string{inventory.MarkGroup: m.Group, inventory.MarkJob: m.Job, inventory.MarkInstead: old.UUID},
	})
	if err != nil {
		return inventory.VM{}, err
	}
	made, err := r.cache.vmAt(ctx, r.vc, ref)
	if cdp.Is(err, cdp.NotFound) {
		err = unseen("make VM", name, "it is not there")
	}
	return made, err
}

// dropFormer removes VMs that others took the place of, once their hosts are back.
func (r *memberRound) dropFormer(ctx context.Context) error {
	m := r.m
	for _, uuid := range m.Value.Former {
		i := slices.IndexFunc(r.target.VMs, func(v inventory.VM) bool { return v.UUID == uuid })
		if i >= 0 {
			v := r.target.VMs[i]
			gone := !replicaOf(m.Value).marks(v)
			host := slices.IndexFunc(r.target.Hosts, func(h inventory.Host) bool { return h.Ref == v.Host && runsVMs(h) })
			if !gone && (host < 0 || len(v.Hardware.Disks) > 0 || v.Power != inventory.PoweredOff) {
				continue
			}
			if !gone {
				if err := r.vc.Destroy(ctx, v.Ref, false); err != nil {
					return cdp.Wrap(err, "remove former replica VM", v.Path)
				}
			}
		}
		m.Value.Former = slices.DeleteFunc(slices.Clone(m.Value.Former), func(x string) bool { return x == uuid })
		return m.save(ctx) // the next round sees to the next one
	}
	return nil
}
