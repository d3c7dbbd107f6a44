package vcenter

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/spec"
	"tidemark.dev/pkg/vms"
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
	if err := r.run(ctx, group, m.Value.State != stateGone && r.rec.Running); err != nil {
		return err
	}
	if r.job.Job.Source.Capture != "tap" || !r.answers {
		return nil
	}
	if m.Value.State == stateGone || !r.rec.Running {
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
func (r *round) ownJob(m vms.Member) spec.ReplicationJob {
	j := spec.ReplicationJob{
		Name: m.Group, Of: m.Job, RPO: r.job.RPO, FailIfRPOExceeds: r.job.FailIfRPOExceeds, Journal: r.job.Journal,
		Source: spec.Source{Site: r.job.SourceSite, Capture: spec.CaptureMode(r.job.Job.Source.Capture), VM: m.VM.UUID},
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

// tap lets the I/O filter send the VM's writes to capture, once that listens.
func (r *round) tap(ctx context.Context, m *member) error {
	uris, err := r.s.deps.Capture.Exports(ctx, r.job.SourceSite, cdp.GroupID(m.Value.Group))
	if cdp.Is(err, cdp.NotFound) || cdp.Is(err, cdp.Transient) || err == nil && len(uris) < len(m.Value.Disks) {
		return nil // not yet: the next look
	}
	if err != nil {
		return err
	}
	disks := map[int32]string{}
	for i, d := range m.Value.Disks {
		disks[d.Disk.Key] = uris[i]
	}
	return r.askTap(ctx, m, fmt.Sprint(uris), api.TapRequest{Attach: true, Disks: disks})
}

// untap ends that while the job does not run, or does not mean the VM any more.
func (r *round) untap(ctx context.Context, m *member) error {
	err := r.askTap(ctx, m, "nowhere", api.TapRequest{})
	if cdp.Is(err, cdp.NotFound) {
		return nil // with the VM or its job it is over
	}
	return err
}

// askTap asks the source unless it was told so already.
func (r *round) askTap(ctx context.Context, m *member, to string, req api.TapRequest) error {
	req.Group, req.VM = cdp.GroupID(m.Value.Group), m.Value.VM.UUID
	if r.told(req.Group).taps == to {
		return nil
	}
	// Until it is done nobody knows what the filter sees: it goes on at the source
	// whatever is wanted by then.
	r.tell(req.Group, func(t *told) { t.taps = "" })
	p, err := r.s.deps.Peer.Tap(ctx, r.job.SourceSite, req)
	if err != nil {
		return err
	}
	if p.Done {
		r.tell(req.Group, func(t *told) { t.taps = to })
	} else {
		r.c.wake()
	}
	return nil
}

// untap ends that, as far as the source can be asked; the text tells what
// could not.
func (s *Service) untap(ctx context.Context, job spec.VMJob, m vms.Member) string {
	for {
		p, err := s.deps.Peer.Tap(ctx, job.SourceSite, api.TapRequest{Group: cdp.GroupID(m.Group), VM: m.VM.UUID})
		switch {
		case err != nil && !cdp.Is(err, cdp.NotFound):
			return fmt.Sprintf("the I/O filter still sees %s: the source site was asked to end that, but %s", m.VM.Name, err)
		case err != nil || p.Done:
			return ""
		}
		if ctx.Err() != nil {
			return ctx.Err().Error()
		}
	}
}
