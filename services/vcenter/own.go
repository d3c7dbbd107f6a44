package vcenter

import (
	"bytes"
	"context"
	"encoding/json"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// own gives a member its own job, lets that run or not, and the I/O filter see
// the VM's disks.
func (r *round) own(ctx context.Context, m *member) error {
	group := cdp.GroupID(m.Value.Group)
	want := r.ownJob(m.Value)
	is, err := r.s.deps.Groups.Get(ctx, want.Name)
	if err != nil && !cdp.Is(err, cdp.NotFound) {
		return err
	}
	if err != nil || !same(is, want) {
		if err == nil && is.Of != m.Value.Job {
			return cdp.Errorf(cdp.Conflict, "make job", want.Name, "there is another job of that name")
		}
		if err := r.s.deps.Groups.Put(ctx, want); err != nil {
			return err
		}
	}
	if err := r.run(ctx, group, m.Value.State != inventory.Gone && r.rec.Running); err != nil {
		return err
	}
	if r.job.Job.Source.Capture != cdp.Tap || !r.answers {
		return nil
	}
	if m.Value.State == inventory.Gone || !r.rec.Running {
		return r.untap(ctx, m)
	}
	return r.tap(ctx, m)
}

// same compares specs as they are written.
func same(a, b spec.ReplicationJob) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// ownJob is the member's job.
func (r *round) ownJob(m inventory.Member) spec.ReplicationJob {
	j := spec.ReplicationJob{
		Name: m.Group, Of: m.Job, RPO: r.job.RPO, FailIfRPOExceeds: r.job.FailIfRPOExceeds, Journal: r.job.Journal,
		Source: spec.Source{Site: r.job.SourceSite, Capture: cdp.CaptureMode(r.job.Job.Source.Capture), VM: m.VM.UUID},
		Target: spec.Target{Site: r.job.TargetSite, VM: m.Name},
	}
	for _, d := range m.Disks {
		j.Source.Disks = append(j.Source.Disks, spec.SourceDisk{Name: d.Name, Size: spec.Size(d.Disk.Size), Key: d.Disk.Key})
		j.Target.Disks = append(j.Target.Disks, spec.TargetDisk{Name: d.Name, Path: d.Path})
		j.Target.Adopt = j.Target.Adopt || d.Seeded
	}
	return j
}

func (r *round) run(ctx context.Context, group cdp.GroupID, running bool) error {
	want := map[bool]string{true: "running", false: "stopped"}[running]
	if r.told(group).run == want {
		return nil
	}
	do := r.s.deps.Runs.Stop
	if running {
		do = r.s.deps.Runs.Run
	}
	if err := do(ctx, string(group)); err != nil && !cdp.Is(err, cdp.Duplicate) && (running || !cdp.Is(err, cdp.NotFound)) {
		return err
	}
	r.tell(group, func(t *told) { t.run = want })
	return nil
}
