package jobrules

import (
	"slices"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

var here = Here{Site: "dr", Links: []cdp.Site{"prod", "branch"}}

func disksJob(change func(*spec.ReplicationJob)) spec.ReplicationJob {
	j := spec.ReplicationJob{Name: "web", Source: spec.Source{Site: "prod", Capture: cdp.Inline, Disks: []spec.SourceDisk{{Name: "a", Path: "/a"}}},
		Target: spec.Target{Site: "dr", Disks: []spec.TargetDisk{{Name: "a", Path: "/b"}}}, RPO: spec.Duration(spec.DefaultRPO)}
	if change != nil {
		change(&j)
	}
	return j
}

func vmsJob(change func(*spec.VMJob)) spec.VMJob {
	j := spec.VMJob{Job: inventory.Job{Name: "web"}, SourceSite: "prod", TargetSite: "dr"}
	j.Source.Capture = cdp.CBT
	if change != nil {
		change(&j)
	}
	return j
}

// rules are the paths and rules of problems, in order.
func rules(ps []api.Problem) (out []string) {
	for _, p := range ps {
		out = append(out, p.Path+" "+p.Rule)
	}
	return out
}

func TestDisks(t *testing.T) {
	old := disksJob(nil)
	ofVM := disksJob(func(j *spec.ReplicationJob) { j.Of = "shop" })
	vms := vmsJob(nil)
	sized := disksJob(func(j *spec.ReplicationJob) { j.Source.Disks[0].Size = 8192 })
	more := func(j *spec.ReplicationJob) {
		j.Source.Disks = append(j.Source.Disks, spec.SourceDisk{Name: "more", Path: "/s/more"})
		j.Target.Disks = append(j.Target.Disks, spec.TargetDisk{Name: "more", Path: "/t/more"})
	}
	for name, x := range map[string]struct {
		job    spec.ReplicationJob
		stored Stored
		change api.Change
		want   []string
	}{
		"new":               {old, Stored{}, api.Created, nil},
		"same":              {old, Stored{Job: &old, Running: true}, api.Unchanged, nil},
		"another rpo":       {disksJob(func(j *spec.ReplicationJob) { j.RPO *= 2 }), Stored{Job: &old, Running: true}, api.Changed, nil},
		"disks, stopped":    {disksJob(func(j *spec.ReplicationJob) { j.Target.Disks = nil }), Stored{Job: &old}, api.Changed, []string{"/spec/target/disks immutable"}},
		"disks, running":    {disksJob(func(j *spec.ReplicationJob) { j.Target.Disks = nil }), Stored{Job: &old, Running: true}, api.Changed, []string{"/spec/target/disks immutable"}},
		"a disk more":       {disksJob(more), Stored{Job: &old, Running: true}, api.Changed, nil},
		"extended":          {disksJob(func(j *spec.ReplicationJob) { j.Source.Disks[0].Size = 16384 }), Stored{Job: &sized, Running: true}, api.Changed, nil},
		"shrunk":            {disksJob(func(j *spec.ReplicationJob) { j.Source.Disks[0].Size = 4096 }), Stored{Job: &sized}, api.Changed, []string{"/spec/source/disks/0/size immutable"}},
		"a linked source":   {disksJob(func(j *spec.ReplicationJob) { j.Source.Site = "branch" }), Stored{}, api.Created, nil},
		"one site":          {disksJob(func(j *spec.ReplicationJob) { j.Source.Site = "dr" }), Stored{}, api.Created, nil},
		"strange sites":     {disksJob(func(j *spec.ReplicationJob) { j.Source.Site, j.Target.Site = "moon", "mars" }), Stored{}, api.Created, []string{"/spec/target/site site", "/spec/source/site site"}},
		"the job of a VM":   {old, Stored{Job: &ofVM}, "", []string{" derived"}},
		"name of a VMs job": {old, Stored{VMJob: &vms}, api.Created, []string{"/metadata/name unique"}},
	} {
		change, ps := here.Disks(x.job, x.stored)
		if change != x.change || !slices.Equal(rules(ps), x.want) {
			t.Errorf("%s: %s, %q", name, change, rules(ps))
		}
	}
}

func TestVMs(t *testing.T) {
	old := vmsJob(nil)
	disks, ofVM := disksJob(nil), disksJob(func(j *spec.ReplicationJob) { j.Of = "shop" })
	moved := vmsJob(func(j *spec.VMJob) { j.SourceSite = "branch" })
	tapped := vmsJob(func(j *spec.VMJob) { j.Source.Capture = cdp.Tap })
	for name, x := range map[string]struct {
		job    spec.VMJob
		stored Stored
		change api.Change
		want   []string
	}{
		"new":                 {old, Stored{}, api.Created, nil},
		"same":                {old, Stored{VMJob: &old}, api.Unchanged, nil},
		"another site":        {moved, Stored{VMJob: &old}, api.Changed, []string{"/spec immutable"}},
		"capture, stopped":    {tapped, Stored{VMJob: &old}, api.Changed, nil},
		"capture, running":    {tapped, Stored{VMJob: &old, Running: true}, api.Changed, []string{"/spec/source/capture running"}},
		"the job of a VM":     {old, Stored{Job: &ofVM}, "", []string{" derived"}},
		"name of a disks job": {old, Stored{Job: &disks}, api.Created, []string{"/metadata/name unique"}},
	} {
		change, ps := here.VMs(x.job, x.stored)
		if change != x.change || !slices.Equal(rules(ps), x.want) {
			t.Errorf("%s: %s, %q", name, change, rules(ps))
		}
	}
}

// TestGroup: the job of a VM takes no name that another job has.
func TestGroup(t *testing.T) {
	good := disksJob(func(j *spec.ReplicationJob) { j.Of = "shop" })
	disks, vms := disksJob(nil), vmsJob(nil)
	others := disksJob(func(j *spec.ReplicationJob) { j.Of = "bank" })
	for name, x := range map[string]struct {
		job    spec.ReplicationJob
		stored Stored
		want   cdp.Kind
	}{
		"new":             {good, Stored{}, ""},
		"again":           {good, Stored{Job: &good}, ""},
		"of no job":       {disks, Stored{}, cdp.Invalid},
		"another target":  {disksJob(func(j *spec.ReplicationJob) { j.Of, j.Target.Site = "shop", "prod" }), Stored{}, cdp.Invalid},
		"a job of disks":  {good, Stored{Job: &disks}, cdp.Conflict},
		"another job's":   {good, Stored{Job: &others}, cdp.Conflict},
		"a job on VMs":    {good, Stored{VMJob: &vms}, cdp.Conflict},
		"an unusable one": {disksJob(func(j *spec.ReplicationJob) { j.Of, j.RPO = "shop", 0 }), Stored{}, cdp.Invalid},
	} {
		err := here.Group(x.job, x.stored)
		if (err == nil) != (x.want == "") || err != nil && !cdp.Is(err, x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestIdle: a run that holds something forbids deletion. One of a VM that failed
// is left to the vcenter service.
func TestIdle(t *testing.T) {
	steps := []failoverrun.StepRecord{{Step: recovery.Halt, Goal: recovery.Recover, Status: recovery.StepFailed}}
	for phase, free := range map[recovery.Phase]struct{ disks, vm bool }{
		recovery.Running: {false, false}, recovery.Failed: {false, true}, recovery.Undone: {true, true},
	} {
		run := &failoverrun.Run{Phase: phase, Steps: steps, Goal: recovery.Recover, Request: failoverrun.Request{ID: "r1"}}
		if disks, vm := Idle("web", run, false) == nil, Idle("web", run, true) == nil; disks != free.disks || vm != free.vm {
			t.Errorf("%s: %v, %v", phase, disks, vm)
		}
	}
	if Idle("web", nil, false) != nil {
		t.Error("no run")
	}
}
