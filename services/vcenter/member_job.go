package vcenter

import (
	"bytes"
	"context"
	"encoding/json"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// keepJob writes the member's own job, has the scheduler run or stop it, and attaches
// the I/O filter that captures the VM, or detaches it.
func (r *memberRound) keepJob(ctx context.Context) error {
	m := r.m
	want := r.memberJob(m.Value)
	is, err := r.s.groups.Get(ctx, want.Name)
	if err != nil && !cdp.Is(err, cdp.NotFound) {
		return err
	}
	want.ID = is.ID
	if err != nil || !same(is, want) {
		if err == nil && is.Of != m.Value.Job {
			return cdp.Errorf(cdp.Conflict, "make job", want.Name, "another job has that name")
		}
		if err := r.s.groups.Put(ctx, want); err != nil {
			return err
		}
	}
	if err := r.schedule(ctx, m.Value.State != inventory.Gone && r.rec.Running); err != nil {
		return err
	}
	if r.job.Job.Source.Capture != cdp.Tap || !r.answers {
		return nil
	}
	if m.Value.State == inventory.Gone || !r.rec.Running {
		return r.detachFilter(ctx)
	}
	return r.keepFilter(ctx)
}

// same compares specs as they are written.
func same(a, b spec.ReplicationJob) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// memberJob is the spec of a member's own job. A new disk is in it, with those after it,
// once its replica can be written.
func (r *round) memberJob(m inventory.Member) spec.ReplicationJob {
	j := spec.ReplicationJob{
		Name: m.Group, Of: m.Job, RPO: r.job.RPO, FailIfRPOExceeds: r.job.FailIfRPOExceeds, Journal: r.job.Journal, Failover: r.job.Failover,
		Source: spec.Source{Site: r.job.SourceSite, Capture: cdp.CaptureMode(r.job.Job.Source.Capture), VM: m.VM.UUID},
		Target: spec.Target{Site: r.job.TargetSite, VM: m.Name}, Reverses: r.job.Reverses,
	}
	for _, d := range m.Disks {
		if d.Path == "" {
			break
		}
		x := spec.SourceDisk{Name: d.Name, Size: spec.Size(d.Disk.Size), Key: d.Disk.Key}
		if !d.Gone.IsZero() {
			x.Removed = d.Gone.UnixMilli()
		}
		j.Source.Disks = append(j.Source.Disks, x)
		j.Target.Disks = append(j.Target.Disks, spec.TargetDisk{Name: d.Name, Path: d.Path})
		j.Target.Adopt = j.Target.Adopt || d.Seeded
	}
	return j
}

// schedule has the scheduler run or stop the member's job.
func (r *memberRound) schedule(ctx context.Context, running bool) error {
	want := map[bool]string{true: "running", false: "stopped"}[running]
	if r.c.last(r.group).schedule == want {
		return nil
	}
	do := r.s.runs.Stop
	if running {
		do = r.s.runs.Run
	}
	if err := do(ctx, string(r.group)); err != nil && !cdp.Is(err, cdp.Duplicate) && (running || !cdp.Is(err, cdp.NotFound)) {
		return err
	}
	r.c.note(r.group, func(a *applied) { a.schedule = want })
	return nil
}
