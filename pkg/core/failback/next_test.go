package failback_test

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failback"
	"tidemark.dev/pkg/core/failoverrun"
)

// web is a job as it was first described.
func web() spec.ReplicationJob {
	return spec.ReplicationJob{Name: "web",
		Source:  spec.Source{Site: "prod", Capture: cdp.Inline, Listen: "/run/web", Disks: []spec.SourceDisk{{Name: "root", Path: "/vm/root"}}},
		Target:  spec.Target{Site: "dr", Disks: []spec.TargetDisk{{Name: "root", Path: "/replica/root"}}},
		RPO:     spec.Duration(5),
		Journal: spec.Journal{History: 100, Lock: 10}}
}

// run is a production failover of a job.
func run(j spec.ReplicationJob, id string, phase recovery.Phase) *failoverrun.Run {
	r := &failoverrun.Run{Request: failoverrun.Request{Job: j.Name, ID: id, Mode: recovery.Production, To: recovery.ToFiles}, Pinned: failoverrun.Pinned{Spec: j}, Phase: phase, Goal: recovery.Recover}
	if phase == recovery.Committed {
		r.Goal = recovery.Commit
	}
	return r
}

func reversed(t *testing.T, j spec.ReplicationJob, before *spec.ReplicationJob, w failback.Want) spec.ReplicationJob {
	t.Helper()
	back, err := failback.Reverse(j, run(j, "r", recovery.Committed), before, w)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// There and back again: names, disks and settings are those of the beginning, and each
// reversal is a round of its own.
func TestTwoReversalsLeadToTheJobAgain(t *testing.T) {
	first := web()
	back := reversed(t, first, nil, failback.Want{Listen: "/run/back"})
	if back.Name != "web-back" || back.Round() != 1 || back.Direction() != "dr -> prod (reversed)" || !back.Adopts() || back.Journal.Lock != 0 ||
		back.Source.Disks[0].Path != "/replica/root" || back.Target.Disks[0].Path != "/vm/root" || !back.Retires("dr", "web", 0) {
		t.Errorf("%+v", back)
	}
	again := reversed(t, back, &first, failback.Want{})
	if again.Round() != 2 || !again.Retires("prod", "web-back", 1) || back.Retires("dr", "web", again.Round()) {
		t.Errorf("%+v", again)
	}
	again.Reverses = nil
	if d := again.Direction(); d != "prod -> dr" || again.Name != first.Name || again.Source.Listen != "/run/web" || again.Journal != first.Journal || again.Source.Disks[0] != first.Source.Disks[0] || again.Target.Disks[0] != first.Target.Disks[0] {
		t.Errorf("%+v", again)
	}
}

// Other disks are given for all or for none, and nothing is compared with them.
func TestOtherDisks(t *testing.T) {
	back := reversed(t, web(), nil, failback.Want{Name: "home", Disks: []spec.TargetDisk{{Name: "root", Path: "/new"}}})
	if back.Name != "home" || back.Adopts() || back.Target.Disks[0].Path != "/new" {
		t.Errorf("%+v", back)
	}
	j := web()
	for want, w := range map[string]failback.Want{
		"none is given":     {Disks: []spec.TargetDisk{{Name: "data", Path: "/new"}}},
		"same name":         {Name: "web"},
		"sends everything":  {Capture: cdp.Tap},
		"2 disks are given": {Disks: []spec.TargetDisk{{Name: "root", Path: "/new"}, {Name: "data", Path: "/data"}}},
	} {
		if _, err := failback.Reverse(j, run(j, "r", recovery.Committed), nil, w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

// Only a committed failover of the job as it is now is reversed.
func TestOnlyACommittedFailoverIsReversed(t *testing.T) {
	j := web()
	later := j
	later.Reverses = &spec.Reverses{Site: "prod", Job: "web-back", Run: "r", Round: 2}
	test := run(j, "t", recovery.Ready)
	test.Mode = recovery.Test
	for name, c := range map[string]struct {
		job  spec.ReplicationJob
		run  *failoverrun.Run
		want string
	}{
		"none":          {j, nil, "not failed over"},
		"a test":        {j, test, "not failed over"},
		"undone":        {j, run(j, "r", recovery.Undone), "not failed over"},
		"not final":     {j, run(j, "r", recovery.Ready), "not final"},
		"earlier round": {later, run(j, "r", recovery.Committed), "not failed over"},
	} {
		if err := failback.Committed(c.job, c.run); !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each step follows from what is seen, so a failback can begin and be interrupted anywhere.
func TestTheNextStep(t *testing.T) {
	j := web()
	back := reversed(t, j, nil, failback.Want{})
	again := reversed(t, back, &j, failback.Want{})
	for name, c := range map[string]struct {
		seen failback.Seen
		want failback.Step // empty: refused
	}{
		"never away":           {failback.Seen{Job: j, Protected: true}, ""},
		"not final":            {failback.Seen{Job: j, Run: run(j, "r", recovery.Ready)}, ""},
		"away":                 {failback.Seen{Job: j, Run: run(j, "r", recovery.Committed)}, failback.Reprotect},
		"being copied":         {failback.Seen{Job: back}, failback.Protect},
		"protected":            {failback.Seen{Job: back, Protected: true}, failback.Failover},
		"of an earlier round":  {failback.Seen{Job: back, Run: run(j, "r", recovery.Committed), Protected: true}, failback.Failover},
		"on its way":           {failback.Seen{Job: back, Run: run(back, "failback-1", recovery.Running)}, failback.Follow},
		"there":                {failback.Seen{Job: back, Run: run(back, "failback-1", recovery.Ready)}, failback.Commit},
		"somebody else's":      {failback.Seen{Job: back, Run: run(back, "r", recovery.Ready)}, ""},
		"undone":               {failback.Seen{Job: back, Run: run(back, "failback-1", recovery.Undone), Protected: true}, failback.Failover},
		"home, not protected":  {failback.Seen{Job: back, Run: run(back, "failback-1", recovery.Committed)}, failback.Reprotect},
		"home, being compared": {failback.Seen{Job: again, Run: run(j, "r", recovery.Committed)}, failback.Protect},
		"home":                 {failback.Seen{Job: again, Protected: true}, failback.Home},
	} {
		got, err := failback.Next(c.seen)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
