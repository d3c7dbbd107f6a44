package planchaos

import (
	"context"
	"maps"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

const failing = "failover" // the failover service, for kills

// job is the spec of a job: of a VM, but for batch.
func job(name string) spec.ReplicationJob {
	j := spec.ReplicationJob{Name: name, Source: spec.Source{Site: "prod"}, Target: spec.Target{Site: "dr", Disks: []spec.TargetDisk{{Name: "d", Path: "/r"}}}}
	if name != "batch" {
		j.Source.VM, j.Target.VM = "u-"+name, name+"-replica"
	}
	return j
}

// specs are failover.Jobs.
type specs struct{ w *world }

func (s specs) Get(_ context.Context, name string) (failoverrun.Pinned, error) {
	if s.w.groups[name] == nil {
		return failoverrun.Pinned{}, cdp.Errorf(cdp.NotFound, "get", name, "none")
	}
	return failoverrun.Pinned{Revision: 1, Spec: job(name)}, nil
}

// records are failover.Records.
type records struct{ w *world }

func (r records) Get(_ context.Context, job string) (failoverrun.Run, uint64, error) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	x, ok := r.w.runs[job]
	if !ok {
		return x, 0, cdp.Errorf(cdp.NotFound, "get", job, "none")
	}
	return x, r.w.runRevs[job], nil
}

func (r records) Put(ctx context.Context, job string, x failoverrun.Run, rev uint64) (uint64, error) {
	conflict := false
	err := r.w.call(ctx, failing, "put "+job+x.ID, func() bool { return false }, func() {
		if conflict = rev != r.w.runRevs[job]; !conflict {
			r.w.runs[job] = x
			r.w.runRevs[job]++
			rev++ // a doubled write conflicts, and has its effect
			r.w.groups[job].planned = x.Planned && !x.Over()
		}
	})
	if err == nil && conflict {
		err = cdp.Errorf(cdp.Conflict, "put", job, "revision")
	}
	return rev, err
}

// Watch tells of what is there once: the one service hears of the rest itself.
func (r records) Watch(ctx context.Context, fn func(string)) error {
	r.w.mu.Lock()
	names := slices.Collect(maps.Keys(r.w.runs))
	r.w.mu.Unlock()
	for _, name := range names {
		fn(name)
	}
	<-ctx.Done()
	return ctx.Err()
}

// target is failover.Journal, Exports, Replica and VMs.
type target struct{ w *world }

func (t target) group(g cdp.GroupID) *group { return t.w.groups[string(g)] }

// do is a step of a failover run.
func (t target) do(ctx context.Context, step, run string, so func() bool, change func()) error {
	return t.w.call(ctx, failing, step+" "+run, so, change)
}

func (t target) Status(_ context.Context, g cdp.GroupID) (api.GroupStatus, error) {
	return api.GroupStatus{Group: g, Frame: 9, Bounds: cdp.Bounds{Head: 50}}, nil
}

func (target) Tested(context.Context, api.PointTestedRequest) (cdp.Point, error) {
	return cdp.Point{}, nil
}

func (t target) Resolve(context.Context, api.ResolveRequest) (api.Resolved, error) {
	return api.Resolved{Seq: 50}, nil
}

func (t target) ListExports(context.Context, cdp.GroupID) (api.ExportsReply, error) {
	return api.ExportsReply{}, nil
}

func (t target) Open(ctx context.Context, r api.OpenRequest) (api.Export, error) {
	g := t.group(r.Group)
	err := t.do(ctx, "open", r.ID, func() bool { return g.exports[r.ID] }, func() { g.exports[r.ID] = true })
	return api.Export{ID: r.ID, Seq: r.Seq, Disks: []api.ExportDisk{{Name: "d", URI: "nbd://x/d"}}}, err
}

func (t target) Close(ctx context.Context, r api.CloseRequest) error {
	g := t.group(r.Group)
	return t.do(ctx, "close", r.ID, func() bool { return !g.exports[r.ID] }, func() { delete(g.exports, r.ID) })
}

func (t target) Absorb(context.Context, api.CloseRequest) (api.MoveReply, error) {
	return api.MoveReply{Done: true}, nil
}

func (t target) Halt(ctx context.Context, r api.RunRequest) (cdp.Bounds, error) {
	g := t.group(r.Group)
	return cdp.Bounds{Head: 50}, t.do(ctx, "halt", r.Run, func() bool { return g.halted }, func() { g.halted = true })
}

func (t target) Resume(ctx context.Context, r api.RunRequest) (cdp.Bounds, error) {
	g := t.group(r.Group)
	return cdp.Bounds{Head: 50}, t.do(ctx, "resume", r.Run, func() bool { return !g.halted }, func() {
		if g.replicaAt != "transporter" {
			t.w.bad("the journal of %s took its disks while the VM had them", r.Group)
		}
		g.halted, g.released = false, false
	})
}

func (t target) Move(ctx context.Context, r api.MoveRequest) (api.MoveReply, error) {
	return api.MoveReply{Done: !t.slow()}, t.do(ctx, "move", r.Run, func() bool { return true }, nil)
}

func (t target) Seal(context.Context, api.RunRequest) (api.SealReply, error) {
	return api.SealReply{Paths: []string{"/r"}}, nil
}

func (t target) Release(ctx context.Context, r api.RunRequest) error {
	g := t.group(r.Group)
	return t.do(ctx, "release", r.Run, func() bool { return g.released }, func() { g.released = true })
}

// slow is a task that is not done at the first request.
func (t target) slow() bool {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	return t.w.oneIn(3, "task slow")
}

func (t target) Fill(ctx context.Context, r api.FillRequest) (api.MoveReply, error) {
	g := t.group(r.Group)
	if len(r.Paths) == 0 {
		return api.MoveReply{}, t.do(ctx, "keep", r.Run, func() bool { return g.test(r.Run).kept }, func() { g.test(r.Run).kept = true })
	}
	return api.MoveReply{Done: !t.slow()}, t.do(ctx, "fill", r.Run, func() bool { return g.test(r.Run).filled }, func() { g.test(r.Run).filled = true })
}

func (t target) FillStop(ctx context.Context, r api.RunRequest) error {
	g := t.group(r.Group)
	return t.do(ctx, "fill-stop", r.Run, func() bool { return g.tests[r.Run] == nil || !g.tests[r.Run].kept }, func() { g.tests[r.Run].kept = false })
}

func (g *group) test(run string) *testVM {
	if g.tests[run] == nil {
		g.tests[run] = &testVM{}
	}
	return g.tests[run]
}

func (t target) Do(ctx context.Context, step string, r api.VMRunRequest) (api.VMRunReply, error) {
	g := t.w.groups[r.Job]
	reply := api.VMRunReply{Done: true, VM: &api.VMRun{Name: r.Job + "-replica", Power: inventory.PoweredOn}}
	t.w.mu.Lock()
	fails, lies := t.w.oneIn(30, "task failed"), t.w.oneIn(15, "task accepted and aborted")
	t.w.mu.Unlock()
	switch {
	case fails:
		return api.VMRunReply{}, cdp.Errorf(cdp.Conflict, step, r.Job, "the host is out of memory")
	case lies || t.slow(): // accepted, and not done: the read-back shows it
		return api.VMRunReply{Text: "in progress"}, nil
	}
	so, change := t.production(g, step), func() {}
	if r.Test {
		so, change = t.test(g, r.Run, step)
		if step == api.VMBuild {
			reply.Paths = []string{"/dev/scratch"}
		}
		return reply, t.do(ctx, step, r.Run, so, change)
	}
	switch step {
	case api.VMAttach:
		change = func() { g.replicaAt = "vm" }
	case api.VMBoot:
		change = func() { g.replicaOn = true }
	case api.VMStop:
		change = func() { g.replicaOn = false }
	case api.VMReturn:
		change = func() { g.replicaAt = "transporter" }
	}
	return reply, t.do(ctx, step, r.Run, so, change)
}

// production reports whether a step of a production failover is done already.
func (t target) production(g *group, step string) func() bool {
	return func() bool {
		switch step {
		case api.VMAttach:
			if g.replicaAt != "vm" && !g.released {
				t.w.bad("the VM took disks that the journal had")
			}
			return g.replicaAt == "vm"
		case api.VMBoot:
			return g.replicaOn
		case api.VMStop:
			return !g.replicaOn
		case api.VMReturn:
			return g.replicaAt == "transporter"
		}
		return true
	}
}

// test is a step of a test failover.
func (t target) test(g *group, run, step string) (so func() bool, change func()) {
	is := func() testVM {
		if x := g.tests[run]; x != nil {
			return *x
		}
		return testVM{}
	}
	switch step {
	case api.VMBuild:
		return func() bool { return is().built }, func() { g.test(run).built = true }
	case api.VMAttach:
		return func() bool { return is().attached }, func() { g.test(run).attached = true }
	case api.VMBoot:
		return func() bool { return is().on }, func() { g.test(run).on = true }
	case api.VMStop:
		return func() bool { return !is().on }, func() { g.test(run).on = false }
	case api.VMRemove:
		return func() bool { return g.tests[run] == nil }, func() { delete(g.tests, run) }
	}
	return func() bool { return true }, func() {}
}

// source is failover.Source.
type source struct{ w *world }

// gone is an error while the source does not answer.
func (s source) gone() error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if !s.w.answers {
		return cdp.Errorf(cdp.Transient, "ask", "prod", "nobody answers")
	}
	return nil
}

func (s source) Status(_ context.Context, _ cdp.Site, g cdp.GroupID) (api.CaptureGroup, error) {
	return api.CaptureGroup{Group: g, Seq: 50}, s.gone()
}

func (s source) Drain(context.Context, cdp.Site, api.DrainRequest) (api.DrainReply, error) {
	return api.DrainReply{Frame: 9, Seq: 50}, s.gone()
}

func (s source) Fence(ctx context.Context, _ cdp.Site, r api.FenceRequest) (api.Progress, error) {
	if err := s.gone(); err != nil {
		return api.Progress{}, err
	}
	g := s.w.groups[string(r.Group)]
	want := func() bool {
		if r.Want == recovery.Fenced {
			return g.fenced && !g.sourceOn
		}
		return !g.fenced
	}
	old := false
	what := "fence " + string(r.Want) + " " + r.Run
	err := s.w.call(ctx, failing, what, func() bool { old = r.Turn < g.turn; return old || want() }, func() {
		g.turn = r.Turn
		if r.Want == recovery.Fenced {
			g.fenced, g.wasOn, g.sourceOn = true, g.sourceOn, false
			return
		}
		g.fenced = false
		if r.Want == recovery.Restored && g.wasOn {
			if g.replicaOn {
				s.w.bad("the VM of %s was started at the source beside its replica", r.Group)
			}
			g.sourceOn = true
		}
	})
	if err == nil && old {
		err = cdp.Errorf(cdp.Conflict, "fence", r.VM, "turn %d is over", r.Turn)
	}
	return api.Progress{Done: true, Text: "it is " + string(r.Want)}, err
}
