package vcenter

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// jobDelete handles api.VMJobDelete. Once it is done the job's spec may be
// deleted; until that is gone nothing is made of it again.
func (s *Service) jobDelete(ctx context.Context, r api.VMJobDeleteRequest) (any, error) {
	id := fmt.Sprintf("delete %v %s", r.Replicas, r.Group)
	_, p, err := inLane(ctx, s.lanes, "job/"+r.Job, id, func(ctx context.Context, tell report) (api.Empty, error) {
		return api.Empty{}, cdp.Wrap(s.deleteNow(ctx, r, tell), "delete job", r.Job)
	})
	return p, err
}

func (s *Service) deleteNow(ctx context.Context, r api.VMJobDeleteRequest, tell report) error {
	unlock, err := s.locks.lock(ctx, "job/"+r.Job)
	if err != nil {
		return err
	}
	defer unlock()
	job, err := s.deps.Jobs.Get(ctx, r.Job)
	known := err == nil
	if err != nil && !cdp.Is(err, cdp.NotFound) {
		return err
	}
	members, err := s.members(ctx, r.Job)
	if err != nil {
		return err
	}
	whole := r.Group == ""
	if !whole {
		members = slices.DeleteFunc(members, func(m *member) bool { return m.Value.Group != string(r.Group) })
	}
	for _, m := range members { // nothing is ended if one cannot be
		if _, err := s.runOver(ctx, m.Value); err != nil {
			return err
		}
	}
	rec, err := load[jobRecord](ctx, s, keyJob+r.Job)
	if err != nil {
		return err
	}
	if known && whole {
		rec.Value = jobRecord{Since: s.deps.Clock.Now(), Deleted: hashOf(job)}
		if err := rec.save(ctx, s); err != nil {
			return err
		}
	}
	var notes []string
	for i, m := range members {
		tell("ends the replication of "+m.Value.VM.Name, int64(i), int64(len(members)))
		note, err := s.dismiss(ctx, job, known, m, r)
		if err != nil {
			return err
		}
		if note != "" {
			notes = append(notes, note)
		}
	}
	tell(strings.Join(notes, "; "), int64(len(members)), int64(len(members)))
	if !whole {
		return nil
	}
	s.mu.Lock()
	if c := s.jobs[r.Job]; c != nil {
		c.mu.Lock()
		clear(c.told)
		clear(c.bad)
		c.mu.Unlock()
	}
	s.mu.Unlock()
	if !known {
		return rec.drop(ctx, s)
	}
	return nil
}

// runOver gives the record of the run that had a member's VM; Conflict while
// one has it, unless that was lost.
func (s *Service) runOver(ctx context.Context, m inventory.Member) (*kept[runRecord], error) {
	run, err := load[runRecord](ctx, s, keyRun+m.Group)
	if err != nil {
		return nil, err
	}
	if !run.exists() || run.Value.Stage == stageKept {
		return run, nil
	}
	if lost, err := s.lost(ctx, m); err != nil || run.Value.Test || !lost {
		return nil, cdp.Errorf(cdp.Conflict, "delete job", m.Job, "%s is in the failover %s", m.VM.Name, run.Value.Run).
			WithHint("end it first: tidemark failover undo, commit or cleanup " + m.Group)
	}
	return run, nil
}

// lost says whether a replica VM was deleted, and disks with it, so that a
// failover that had it can go neither on nor back.
func (s *Service) lost(ctx context.Context, m inventory.Member) (bool, error) {
	vc, err := s.vcenter(ctx)
	if err != nil {
		return false, err
	}
	if _, err := s.replica(ctx, vc, m); !cdp.Is(err, cdp.NotFound) {
		return false, err
	}
	inv, err := s.lately(ctx)
	if err != nil {
		return false, err
	}
	for _, d := range m.Disks {
		_, err := vc.DiskSize(ctx, inv.DatacenterOf(d.File), d.File)
		if cdp.Is(err, cdp.NotFound) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// dismiss ends a member: what it was made of is a VM of its own then, or gone.
func (s *Service) dismiss(ctx context.Context, job spec.VMJob, known bool, m *member, r api.VMJobDeleteRequest) (note string, err error) {
	unlock, err := s.locks.lock(ctx, "group/"+m.Value.Group)
	if err != nil {
		return "", err
	}
	defer unlock()
	// A failover may have taken it since it was read.
	now, err := load[inventory.Member](ctx, s, m.key)
	if err != nil || !now.exists() {
		return "", err
	}
	*m = *now
	if r.Group != "" && m.Value.State != inventory.Gone {
		return "", cdp.Errorf(cdp.Conflict, "delete job", m.Value.Group, "the job %s means the VM %s", m.Value.Job, m.Value.VM.Name).
			WithHint("leave it out of source.vms first: tidemark get job " + m.Value.Job + " -o yaml")
	}
	run, err := s.runOver(ctx, m.Value)
	if err != nil {
		return "", err
	}
	if err := s.deps.Runs.Stop(ctx, m.Value.Group); err != nil && !cdp.Is(err, cdp.Duplicate) && !cdp.Is(err, cdp.NotFound) {
		return "", err
	}
	if known && job.Job.Source.Capture == cdp.Tap {
		note = s.untap(ctx, job, m.Value)
	}
	if err := s.deps.Groups.Delete(ctx, m.Value.Group); err != nil {
		return "", err
	}
	if run.Value.Stage == stageKept { // it is the VM now, and nobody's replica
		if err := s.unmark(ctx, m.Value); err != nil {
			return "", err
		}
	} else {
		if err := s.untilFree(ctx, cdp.GroupID(m.Value.Group)); err != nil {
			return "", err
		}
		if err := s.releaseReplica(ctx, m.Value, r.Replicas); err != nil {
			return "", err
		}
	}
	if err := run.drop(ctx, s); err != nil {
		return "", err
	}
	return note, m.drop(ctx, s)
}

// unmark takes the marks from a VM that was committed, if that was cut short.
func (s *Service) unmark(ctx context.Context, m inventory.Member) error {
	vc, err := s.vcenter(ctx)
	if err != nil {
		return err
	}
	v, err := s.keptVM(ctx, vc, m)
	if cdp.Is(err, cdp.NotFound) || err == nil && !replicaOf(m).is(v) {
		return nil
	}
	if err != nil {
		return err
	}
	return vc.Label(ctx, v.Ref, "", "", unmarked())
}

// untilFree waits until the journal lets go of a group's images: a disk that is
// detached while it is written is broken.
func (s *Service) untilFree(ctx context.Context, g cdp.GroupID) error {
	for {
		holds, err := s.deps.Journal.Holds(ctx, g)
		if err != nil || !holds {
			return err
		}
		select {
		case <-ctx.Done():
			return cdp.Errorf(cdp.Transient, "wait for journal", string(g), "it still has the replica's disks open")
		case <-s.deps.Clock.After(s.cfg.CheckEvery / 4):
		}
	}
}

// releaseReplica makes a VM of its own of a replica, or destroys it.
func (s *Service) releaseReplica(ctx context.Context, m inventory.Member, destroy bool) error {
	vc, err := s.vcenter(ctx)
	if err != nil {
		return err
	}
	var files []string
	for _, d := range m.Disks {
		if d.File != "" {
			files = append(files, d.File)
		}
	}
	if len(files) > 0 {
		if err := s.pullOut(ctx, vc, withFile(files)); err != nil {
			return err
		}
	}
	v, err := s.replica(ctx, vc, m)
	gone := cdp.Is(err, cdp.NotFound)
	if err != nil && !gone {
		return err
	}
	if destroy {
		return s.destroyReplica(ctx, vc, m, v, gone)
	}
	if gone {
		return nil
	}
	var plugs []inventory.Plug
	for _, d := range m.Disks {
		if d.UUID != "" { // one that never was attached may not even be there
			plugs = append(plugs, inventory.Plug{File: d.File, Address: d.Address})
		}
	}
	if len(plugs) > 0 {
		if _, err := vc.Plug(ctx, v.Ref, plugs); err != nil {
			return err
		}
	}
	if err := vc.Unblock(ctx, v.Ref); err != nil {
		return err
	}
	note := fmt.Sprintf("It was the replica of %s, made by Tidemark for the job %s, which let go of it: it is a VM of its own now.", m.VM.Name, m.Job)
	return vc.Label(ctx, v.Ref, "", note, unmarked())
}

// destroyReplica deletes a replica VM and its disks, but for a seed that was
// named and never became the replica's, and what another VM has.
func (s *Service) destroyReplica(ctx context.Context, vc VCenter, m inventory.Member, v inventory.VM, gone bool) error {
	inv, err := s.inventory(ctx, true)
	if err != nil {
		return err
	}
	disks := slices.DeleteFunc(slices.Clone(m.Disks), func(d inventory.MemberDisk) bool {
		return d.File == "" || d.Seeded && d.UUID == ""
	})
	for _, d := range disks {
		if err := onlyOf(inv, d.File, v.Ref); err != nil {
			return err
		}
	}
	for _, d := range disks {
		if !gone && d.UUID != "" {
			if err := vc.Unplug(ctx, v.Ref, []string{d.File}); err != nil {
				return err
			}
		}
		if err := vc.DeleteDisk(ctx, inv.DatacenterOf(d.File), d.File); err != nil && !cdp.Is(err, cdp.NotFound) {
			return err
		}
	}
	if gone {
		return nil
	}
	if err := vc.Unblock(ctx, v.Ref); err != nil {
		return err
	}
	if err := vc.Destroy(ctx, v.Ref, false); err != nil && !cdp.Is(err, cdp.NotFound) {
		return err
	}
	return nil
}

// onlyOf is Conflict if another VM has a file that is to be deleted as a disk, or
// below one: a vCenter deletes it under a VM that is off.
func onlyOf(inv inventory.Inventory, file string, vm inventory.Ref) error {
	for _, u := range inv.UsersOf(file) {
		if u.Ref != vm {
			return cdp.Errorf(cdp.Conflict, "delete disk", file, "it is a disk of the VM %s, too", u.Path).
				WithHint("detach it there first")
		}
	}
	return nil
}

// unmarked are marks that say that a VM is nobody's replica any more.
func unmarked() map[string]string {
	return map[string]string{inventory.MarkGroup: inventory.NoMark, inventory.MarkJob: inventory.NoMark}
}
