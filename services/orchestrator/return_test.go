package orchestrator_test

import (
	"context"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failback"
	"tidemark.dev/pkg/core/failoverrun"
	"tidemark.dev/pkg/core/plan"
)

// pair is the job shop, which replicates dr -> prod, and the one that reverses it, as both
// sites show them.
type pair struct {
	w    *world
	seen failback.Seen
	req  api.ReprotectRequest
	asks int // requests for the reversed job
	look int // looks since it is there
}

// newPair is a machine that was failed over to prod for good.
func newPair(w *world) *pair {
	j := spec.ReplicationJob{Name: "shop", Source: spec.Source{Site: "dr", Disks: []spec.SourceDisk{{Name: "d", Path: "/vm/d"}}}, Target: spec.Target{Site: "prod", Disks: []spec.TargetDisk{{Name: "d", Path: "/r/d"}}}}
	run := &failoverrun.Run{Request: failoverrun.Request{Job: "shop", ID: "f1", Mode: recovery.Production}, Pinned: failoverrun.Pinned{Spec: j}, Phase: recovery.Committed, Goal: recovery.Commit}
	return &pair{w: w, seen: failback.Seen{Job: j, Run: run}}
}

// ofVM makes the machine a VM.
func (p *pair) ofVM() {
	p.seen.Job.Of, p.seen.Job.Source.VM, p.seen.Job.Target.VM = "shops", "u-old", "shop"
	p.seen.Run.VM = &api.VMRun{UUID: "u-new"}
}

// back is the job that leads back.
func (p *pair) back(seen failback.Seen, r api.ReprotectRequest) (spec.ReplicationJob, error) {
	if seen.Job.Of == "" {
		return failback.Reverse(seen.Job, seen.Run, nil, failback.Want{Disks: r.Disks})
	}
	rev, err := failback.ReversesVM(seen.Job, seen.Run, seen.Job.Source.Site, false, seen.Job.Round()+1)
	j := spec.ReplicationJob{Name: seen.Job.Name + "-back", Of: seen.Job.Name + "-back", Reverses: &rev}
	j.Source, j.Target = spec.Source{Site: "prod", VM: rev.VM}, spec.Target{Site: "dr", VM: "shop"}
	return j, err
}

func (p *pair) InForce(context.Context, string) (failback.Seen, error) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	x := p.seen
	if x.Job.Reverses != nil {
		p.look++
		x.Protected = p.look > 2
		if x.Run = p.w.failovers[x.Job.Name]; x.Run != nil {
			c := *x.Run
			c.Pinned.Spec = x.Job
			x.Run = &c
		}
	}
	return x, nil
}

func (p *pair) Copied(context.Context, string) (compared, sent int64, err error) {
	return 1 << 30, 3 << 20, nil
}

func (p *pair) Reprotect(ctx context.Context, r api.ReprotectRequest) (api.ReprotectReply, error) {
	if !r.Yes {
		return api.ReprotectReply{}, cdp.Errorf(cdp.Conflict, "reprotect job", r.Job, "old disks are overwritten").WithHint("if that is meant: --yes")
	}
	p.w.mu.Lock()
	p.asks++
	p.req = r
	wait, seen := p.asks < 3, p.seen
	p.w.mu.Unlock()
	if wait {
		return api.ReprotectReply{Text: "the site prod has to send what it knows"}, nil
	}
	back, err := p.back(seen, r)
	if err != nil {
		return api.ReprotectReply{}, err
	}
	err = p.w.effect(ctx, "reprotect "+r.Job, false, func() { p.seen = failback.Seen{Job: back} })
	return api.ReprotectReply{Done: err == nil, Job: back}, err
}

// A plan brings a machine home, killed before and after each of its effects: it is
// protected back, failed over and committed once each. Asked again it is home.
func TestAPlanBringsAMachineHome(t *testing.T) {
	bringsHome(t, "failback: {job: shop, overwrite: true}", func(*pair) {}, func(r failoverrun.Request) bool { return r.To == recovery.ToFiles })
}

// The same of a VM: its way home is a failover to the VM that it came from, and the VM that
// runs now is powered off as the plan says.
func TestAPlanBringsAVMHome(t *testing.T) {
	bringsHome(t, "failback: {job: shop, overwrite: true, shutdown: forced}", (*pair).ofVM,
		func(r failoverrun.Request) bool { return r.To == recovery.ToVM && r.Shutdown == recovery.ShutForced })
}

func bringsHome(t *testing.T, action string, change func(*pair), want func(failoverrun.Request) bool) {
	t.Helper()
	for n := 0; ; n++ {
		w := newWorld()
		p := newPair(w)
		change(p)
		w.returns = p
		s := w.service()
		begin(t, w, s, "- {name: home, retries: 1, retryEvery: 1ms, "+action+"}", recovery.Production)
		killed := w.killAt(t, s, n)
		rec := w.last().Actions[0]
		if w.last().Phase != plan.Succeeded || !strings.Contains(rec.Text, "it is home") || !strings.Contains(rec.Text, "tidemark reprotect shop-back") {
			t.Fatalf("killed %s: %+v", killed, w.last())
		}
		for _, name := range []string{"reprotect shop", "production failover shop-back", "commit shop-back"} {
			if w.effects[name] != 1 {
				t.Errorf("killed %s: %s took effect %d times", killed, name, w.effects[name])
			}
		}
		if x := w.failovers["shop-back"]; !x.Planned || x.CommitPolicy != recovery.PolicyNone || !want(x.Request) {
			t.Errorf("%+v", x)
		}
		if killed == "" {
			if !strings.HasSuffix(rec.Text, "; of its disks 3.0 MiB of 1.0 GiB differed and were sent") {
				t.Error(rec.Text)
			}
			return
		}
	}
}

// A machine is reprotected when that is confirmed; what runs here needs nothing, and what
// is being failed over is left alone.
func TestAPlanReprotectsAMachineOnceThatIsConfirmed(t *testing.T) {
	for name, c := range map[string]struct {
		action string
		change func(*pair)
		phase  plan.Phase
		want   string
	}{
		"confirmed":      {"reprotect: {job: shop, overwrite: true}", func(*pair) {}, plan.Succeeded, "shop-back replicates prod -> dr (reversed), and is protected; of its disks 3.0 MiB of 1.0 GiB differed and were sent"},
		"not confirmed":  {"reprotect: {job: shop}", func(*pair) {}, plan.Failed, "old disks are overwritten"},
		"runs here":      {"reprotect: {job: shop, overwrite: true}", func(p *pair) { p.seen.Run = nil }, plan.Succeeded, "it runs here"},
		"not final":      {"failback: {job: shop, overwrite: true}", func(p *pair) { p.seen.Run.Phase = recovery.Ready }, plan.Failed, "its failover f1 is ready"},
		"a VM":           {"reprotect: {job: shop, overwrite: true}", (*pair).ofVM, plan.Succeeded, "shop-back replicates prod -> dr (reversed), and is protected"},
		"to new disks":   {"reprotect: {job: shop, overwrite: true, disks: [{name: d, path: /new/d}]}", func(*pair) {}, plan.Succeeded, "and is protected"},
		"of other sites": {"failback: {job: shop, overwrite: true}", func(p *pair) { p.seen.Job.Source.Site = "x" }, plan.Failed, "and this is dr"},
	} {
		w := newWorld()
		p := newPair(w)
		c.change(p)
		w.returns = p
		s := w.service()
		begin(t, w, s, "- {name: a, "+c.action+"}", recovery.Production)
		play(t, w, s, nil)
		if rec := w.last().Actions[0]; w.last().Phase != c.phase || !strings.Contains(rec.Text, c.want) {
			t.Errorf("%s: %s %+v", name, w.last().Phase, rec)
		}
		if p.asks > 0 && (len(p.req.Disks) > 0) != strings.Contains(name, "new disks") {
			t.Errorf("%s: asked for the disks %v", name, p.req.Disks)
		}
		if w.effects["production failover shop-back"] != 0 {
			t.Errorf("%s: %v", name, w.effects)
		}
	}
}
