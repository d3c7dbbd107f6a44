package jobrules

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

// reversedWeb leads back to the site home from the failover r of web.
func reversedWeb(round int) spec.ReplicationJob {
	return spec.ReplicationJob{Name: "web-back",
		Source:   spec.Source{Site: "away", Capture: cdp.Inline, Disks: []spec.SourceDisk{{Name: "root", Path: "/replica"}}},
		Target:   spec.Target{Site: "home", Disks: []spec.TargetDisk{{Name: "root", Path: "/old"}}},
		Reverses: &spec.Reverses{Site: "away", Job: "web", Run: "r", Round: round, OldDisks: true}}
}

// A reversed job takes its name only from an earlier round of itself that was failed over.
func TestWhatAReversedJobMayReplace(t *testing.T) {
	home := Here{Site: "home", Links: []cdp.Site{"away"}}
	third, first := reversedWeb(3), reversedWeb(1)
	committed := &failoverrun.Run{Request: failoverrun.Request{Mode: recovery.Production}, Pinned: failoverrun.Pinned{Spec: first}, Phase: recovery.Committed}
	undone := *committed
	undone.Phase = recovery.Undone
	other := spec.ReplicationJob{Name: "web-back", Source: spec.Source{Site: "elsewhere"}, Target: spec.Target{Site: "home"}}
	twin := third
	twin.Name = "twin"
	elsewhere := third
	elsewhere.Target.Site = "elsewhere"
	moved := first
	moved.Source.Site = "burnt"
	movedAway := &failoverrun.Run{Request: committed.Request, Pinned: failoverrun.Pinned{Spec: moved}, Phase: recovery.Committed}
	for name, c := range map[string]struct {
		job  spec.ReplicationJob
		now  *spec.ReplicationJob
		jobs []spec.ReplicationJob
		run  *failoverrun.Run
		want Reversal
		text string // of the refusal
		// before is what the job that was failed over reversed.
		before *spec.Reverses
	}{
		"nothing is there":                         {third, nil, nil, nil, Write, "", nil},
		"it is there":                              {third, &third, nil, committed, Present, "", nil},
		"an earlier round":                         {third, &first, nil, committed, Replace, "", nil},
		"an earlier round, not over":               {third, &first, nil, &undone, "", "is in the way", nil},
		"an earlier round, never failed":           {third, &first, nil, nil, "", "is in the way", nil},
		"another job":                              {third, &other, nil, nil, "", "another job web-back", nil},
		"reversed under another name":              {third, nil, []spec.ReplicationJob{twin}, nil, "", "twin reverses it already", nil},
		"failed over itself":                       {first, &first, nil, committed, "", "failed over itself", nil},
		"asked at the wrong site":                  {elsewhere, nil, nil, nil, "", "this is home", nil},
		"an earlier round, back from a third site": {third, &moved, nil, movedAway, Replace, "", &spec.Reverses{Site: "home", Job: "web-back"}},
		"another job that was failed over":         {third, &moved, nil, movedAway, "", "another job web-back", &spec.Reverses{Site: "home", Job: "db-back"}},
	} {
		got, err := home.Reverse(c.job, c.before, Stored{Job: c.now}, c.jobs, c.run)
		if got != c.want || (err != nil) != (c.text != "") || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// Old disks are the replicas of the job that leads back to them, and of no other: who uses
// them is known by site and name.
func TestOldDisksAreReplicasOfTheirOwnJobOnly(t *testing.T) {
	home := Here{Site: "home", Links: []cdp.Site{"away"}}
	old := api.DiskFacts{Path: "/old", Kind: api.PathFile, ID: "old", Size: 1 << 20, Holds: true}
	check := func(j spec.ReplicationJob, used api.DiskUse) []api.Problem {
		used.Disk = old
		p := Places{Source: map[string]api.DiskFacts{"/replica": {Path: "/replica", Kind: api.PathFile, ID: "replica", Size: 1 << 20, Holds: true}},
			Replica: map[string]api.DiskFacts{"/old": old}, OthersHere: []api.DiskUse{used}}
		return p.Check(home, j, nil, 0)
	}
	if ps := check(reversedWeb(1), api.DiskUse{Target: "away", Job: "web"}); len(ps) > 0 {
		t.Errorf("%q", ps)
	}
	plain := reversedWeb(1)
	plain.Reverses = nil
	for name, ps := range map[string][]api.Problem{
		"of another job":  check(reversedWeb(1), api.DiskUse{Target: "away", Job: "db"}),
		"of another site": check(reversedWeb(1), api.DiskUse{Target: "elsewhere", Job: "web"}),
		"not reversed":    check(plain, api.DiskUse{Target: "away", Job: "web"}),
	} {
		if len(ps) != 1 || ps[0].Rule != "unique" {
			t.Errorf("%s: %q", name, ps)
		}
	}
	if err := Free(reversedWeb(1), &api.CaptureGroup{Clients: []string{"10.0.0.7"}}); !cdp.Is(err, cdp.Conflict) {
		t.Error("old disks that somebody uses are overwritten:", err)
	}
}

// The file that people keep of a job does not say how often it was reversed; what it says
// otherwise is refused.
func TestApplyingAJobKeepsItsDirection(t *testing.T) {
	home := Here{Site: "home", Links: []cdp.Site{"away"}}
	was := reversedWeb(3)
	file := was
	file.Reverses = nil
	if change, ps := home.Disks(Continue(file, Stored{Job: &was}), Stored{Job: &was}); change != api.Unchanged || len(ps) > 0 {
		t.Errorf("%s %q", change, ps)
	}
	if _, ps := home.Disks(was, Stored{}); len(ps) != 1 || !strings.Contains(ps[0].Hint, "tidemark reprotect") {
		t.Errorf("%q", ps)
	}
}
