package vcenter

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// jobDelete handles api.VMJobDelete. When it is done, the job's spec may be deleted.
// Until the spec is gone, nothing is made of it again.
func (s *jobControl) jobDelete(ctx context.Context, r api.VMJobDeleteRequest) (any, error) {
	id := fmt.Sprintf("delete %v %s", r.Replicas, r.Group)
	_, p, err := inLane(ctx, s.lanes, lockJob(r.Job), id, func(ctx context.Context, tell progress) (api.Empty, error) {
		d := &deletion{s: s, req: r, tell: tell}
		return api.Empty{}, cdp.Wrap(d.do(ctx), "delete job", r.Job)
	})
	return p, err
}

// deletion ends the replication of a job's members, while it holds the job's lock.
type deletion struct {
	s    *jobControl
	req  api.VMJobDeleteRequest
	tell progress
	vc   memberVMs
	job  spec.VMJob
	// known: the job's spec exists.
	known bool
}

func (d *deletion) do(ctx context.Context) error {
	s := d.s
	unlock, err := s.locks.take(ctx, lockJob(d.req.Job))
	if err != nil {
		return err
	}
	defer unlock()
	d.job, err = s.jobs.Get(ctx, d.req.Job)
	d.known = err == nil
	if err != nil && !cdp.Is(err, cdp.NotFound) {
		return err
	}
	all, bad, err := readable(ctx, s.records, d.req.Job)
	if err != nil {
		return err
	}
	whole := d.req.Group == ""
	unreadable, err := s.unreadable(ctx, d.req.Job, bad)
	if err != nil {
		return err
	}
	for group, m := range unreadable { // its replica is not known
		if whole || group == string(d.req.Group) {
			return m.why
		}
	}
	if !whole {
		all = slices.DeleteFunc(all, func(m *member) bool { return m.Value.Group != string(d.req.Group) })
	}
	for _, m := range all { // nothing is deleted if one cannot be
		if _, err := d.finishedRun(ctx, m.Value); err != nil {
			return err
		}
	}
	rec, err := load[jobRecord](ctx, s.records, keyJob+d.req.Job)
	if err != nil {
		return err
	}
	if d.known && whole {
		rec.Value = jobRecord{Since: s.clock.Now(), Deleted: hashOf(d.job)}
		if err := rec.save(ctx); err != nil {
			return err
		}
	}
	var notes []string
	for i, m := range all {
		d.tell("ends the replication of "+m.Value.VM.Name, int64(i), int64(len(all)))
		note, err := d.dismiss(ctx, m)
		if err != nil {
			return err
		}
		if note != "" {
			notes = append(notes, note)
		}
	}
	d.tell(strings.Join(notes, "; "), int64(len(all)), int64(len(all)))
	if !whole {
		return nil
	}
	s.forget(d.req.Job)
	if !d.known {
		return rec.drop(ctx)
	}
	return nil
}

// forget drops what is known of a job's VMs since this process began.
func (s *jobControl) forget(job string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.controls[job]; c != nil {
		c.mu.Lock()
		clear(c.applied)
		clear(c.refused)
		clear(c.refusals)
		c.mu.Unlock()
	}
}

// connection is the vCenter, asked for at first need: a job without VMs can be
// deleted without one.
func (d *deletion) connection(ctx context.Context) (memberVMs, error) {
	var err error
	if d.vc == nil {
		d.vc, err = d.s.connect(ctx)
	}
	return d.vc, err
}

// finishedRun is the record of the run that had a member's VM. It is a Conflict while
// a run has the VM, unless the VM was lost.
func (d *deletion) finishedRun(ctx context.Context, m inventory.Member) (*record[runRecord], error) {
	run, err := load[runRecord](ctx, d.s.records, keyRun+m.Group)
	if err != nil {
		return nil, err
	}
	if !run.exists() || run.Value.Stage == stageKept {
		return run, nil
	}
	vc, err := d.connection(ctx)
	lost := false
	if err == nil {
		lost, err = replicaLost(ctx, d.s.cache, d.s.hotadd, vc, m)
	}
	if err != nil || run.Value.Test || !lost {
		return nil, cdp.Errorf(cdp.Conflict, "delete job", m.Job, "%s is in the failover %s", m.VM.Name, run.Value.Run).
			WithHint("end it first: tidemark failover undo, commit or cleanup " + m.Group)
	}
	return run, nil
}

// lostVMs is what replicaLost needs of a vCenter.
type lostVMs interface {
	VMReader
	DiskReader
}

// replicaLost reports whether a replica VM was deleted together with disks, so that a
// failover that has it can neither continue nor be undone.
func replicaLost(ctx context.Context, cache *inventoryCache, h *hotadd, vc lostVMs, m inventory.Member) (bool, error) {
	if _, err := cache.replica(ctx, vc, m); !cdp.Is(err, cdp.NotFound) {
		return false, err
	}
	inv, err := cache.fresh(ctx)
	if err != nil {
		return false, err
	}
	at, err := h.search(ctx, vc, inv, m, inv.VMs...)
	if err != nil {
		return false, err
	}
	for _, d := range m.Disks {
		if file, err := at.file(ctx, d.File, d.UUID); err != nil || file == "" {
			return err == nil, err
		}
	}
	return false, nil
}

// dismiss ends a member: its replica becomes an ordinary VM, or is destroyed.
func (d *deletion) dismiss(ctx context.Context, m *member) (note string, err error) {
	s := d.s
	unlock, err := s.locks.take(ctx, lockGroup(m.Value.Group))
	if err != nil {
		return "", err
	}
	defer unlock()
	// A failover may have taken it since it was read.
	now, err := load[inventory.Member](ctx, s.records, m.key)
	if err != nil || !now.exists() {
		return "", err
	}
	*m = *now
	if d.req.Group != "" && m.Value.State != inventory.Gone {
		return "", cdp.Errorf(cdp.Conflict, "delete job", m.Value.Group, "the job %s selects the VM %s", m.Value.Job, m.Value.VM.Name).
			WithHint("remove it from source.vms first: tidemark get job " + m.Value.Job + " -o yaml")
	}
	run, err := d.finishedRun(ctx, m.Value)
	if err != nil {
		return "", err
	}
	if err := s.runs.Stop(ctx, m.Value.Group); err != nil && !cdp.Is(err, cdp.Duplicate) && !cdp.Is(err, cdp.NotFound) {
		return "", err
	}
	if d.known && d.job.Job.Source.Capture == cdp.Tap {
		note = s.untap(ctx, d.job, m.Value)
	}
	if err := s.groups.Delete(ctx, m.Value.Group); err != nil {
		return "", err
	}
	if run.Value.Stage == stageKept { // the replica VM is the VM now
		if err := d.unmark(ctx, m.Value); err != nil {
			return "", err
		}
	} else {
		if err := d.untilReleased(ctx, cdp.GroupID(m.Value.Group)); err != nil {
			return "", err
		}
		if err := d.releaseReplica(ctx, m); err != nil {
			return "", err
		}
		if d.req.Replicas && m.Value.TookFrom != "" {
			note = strings.Trim(note+"; "+m.Value.Name+" and its disks were not made by Tidemark, and stay; nobody can power the VM on before tidemark failover unfence "+m.Value.TookFrom, "; ")
		}
	}
	if err := run.drop(ctx); err != nil {
		return "", err
	}
	return note, m.drop(ctx)
}

// unmark removes the marks of a committed VM, if the commit was interrupted.
func (d *deletion) unmark(ctx context.Context, m inventory.Member) error {
	vc, err := d.connection(ctx)
	if err != nil {
		return err
	}
	v, err := committedVM(ctx, vc, m)
	if cdp.Is(err, cdp.NotFound) || err == nil && !replicaOf(m).marks(v) {
		return nil
	}
	if err != nil {
		return err
	}
	return vc.Label(ctx, v.Ref, "", "", unmarked())
}

// untilReleased waits until the journal has closed a group's images: detaching a disk
// that is being written corrupts it.
func (d *deletion) untilReleased(ctx context.Context, g cdp.GroupID) error {
	for {
		holds, err := d.s.journal.Holds(ctx, g)
		if err != nil || !holds {
			return err
		}
		if clock.Sleep(ctx, d.s.clock, d.s.cfg.CheckEvery/4) != nil {
			return cdp.Errorf(cdp.Transient, "wait for journal", string(g), "it still has the replica's disks open")
		}
	}
}

// releaseReplica makes an ordinary VM of a replica, or destroys it.
func (d *deletion) releaseReplica(ctx context.Context, rec *member) error {
	vc, err := d.connection(ctx)
	if err != nil {
		return err
	}
	v, err := d.s.cache.replica(ctx, vc, rec.Value)
	gone := cdp.Is(err, cdp.NotFound)
	if err != nil && !gone {
		return err
	}
	dc, lost, err := d.findDisks(ctx, vc, rec, v)
	if err != nil {
		return err
	}
	// A disk that is nowhere must not keep the job from being deleted.
	m := rec.Value
	m.Disks = slices.DeleteFunc(slices.Clone(m.Disks), func(x inventory.MemberDisk) bool { return slices.Contains(lost, x.File) })
	var files []string
	for _, x := range m.Disks {
		if x.File != "" {
			files = append(files, x.File)
		}
	}
	if len(files) > 0 {
		if err := d.s.hotadd.detach(ctx, vc, withFile(files)); err != nil {
			return err
		}
	}
	if d.req.Replicas && m.TookFrom == "" {
		return d.destroyReplica(ctx, vc, dc, m, v, gone)
	}
	if gone {
		return nil
	}
	var plugs []inventory.Plug
	var left []string
	for _, x := range m.Disks {
		switch {
		case x.UUID == "": // it was never attached, and may not exist
		case !x.Gone.IsZero(): // its slot may have another one by now
			left = append(left, x.File)
		default:
			plugs = append(plugs, inventory.Plug{File: x.File, UUID: x.UUID, Address: x.Address})
		}
	}
	if len(plugs) > 0 {
		if _, err := vc.Plug(ctx, v.Ref, plugs); err != nil {
			return err
		}
	}
	if m.TookFrom != "" { // the failover that it came from still forbids its power-on
		return vc.Label(ctx, v.Ref, "", "", unmarked())
	}
	if err := vc.Unblock(ctx, v.Ref); err != nil {
		return err
	}
	note := fmt.Sprintf("Was the replica of %s, made by Tidemark for the job %s. The job released it: it is an ordinary VM now.", m.VM.Name, m.Job)
	if len(lost) > 0 {
		note += " Disks of it were not found: " + strings.Join(lost, ", ")
	}
	if len(left) > 0 {
		note += " Copies of disks that had been removed at the source are attached nowhere: " + strings.Join(left, ", ")
	}
	return vc.Label(ctx, v.Ref, "", note, unmarked())
}

// findDisks records where the disks of a replica are now. It returns their datacenter,
// and the paths of those that are nowhere.
func (d *deletion) findDisks(ctx context.Context, vc memberVMs, m *member, v inventory.VM) (dc inventory.Ref, lost []string, err error) {
	if !slices.ContainsFunc(m.Value.Disks, func(x inventory.MemberDisk) bool { return x.File != "" }) {
		return "", nil, nil // nothing was made
	}
	inv, err := d.s.cache.get(ctx)
	if err != nil {
		return "", nil, err
	}
	t, err := d.s.hotadd.transporter(ctx, vc)
	if err != nil {
		return "", nil, err
	}
	at, err := d.s.hotadd.search(ctx, vc, inv, m.Value, t, v)
	if err != nil {
		return "", nil, err
	}
	lost, err = at.refresh(ctx, d.s.report, m)
	return at.datacenter, lost, err
}

// destroyReplica deletes a replica VM and its disks, but neither a seed that never
// became the replica's nor a disk that another VM has.
func (d *deletion) destroyReplica(ctx context.Context, vc memberVMs, dc inventory.Ref, m inventory.Member, v inventory.VM, gone bool) error {
	inv, err := d.s.cache.fresh(ctx)
	if err != nil {
		return err
	}
	disks := slices.DeleteFunc(slices.Clone(m.Disks), func(x inventory.MemberDisk) bool {
		return x.File == "" || x.Seeded && x.UUID == ""
	})
	for _, x := range disks {
		if err := onlyUser(inv, dc, x.File, x.UUID, v.Ref); err != nil {
			return err
		}
	}
	for _, x := range disks {
		if !gone && x.UUID != "" {
			if err := vc.Unplug(ctx, v.Ref, []string{x.File}); err != nil {
				return err
			}
		}
		if err := vc.DeleteDisk(ctx, dc, x.File, x.UUID); err != nil && !cdp.Is(err, cdp.NotFound) {
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
