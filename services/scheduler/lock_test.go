package scheduler_test

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// A deleted job whose journal a retention lock keeps is applied again over its own
// replica, and over no other.
func TestAJobIsAppliedAgainOverItsLockedJournal(t *testing.T) {
	o := newOwner(t)
	locked := strings.Replace(disksDoc, `"rpo":"5s"`, `"rpo":"5s","journal":{"lock":"2h"}`, 1)
	if r := o.apply(locked, false); r.Change != api.Created {
		t.Fatalf("%+v", r)
	}
	deleted := o.jobs.m["web"]
	o.points, o.lock = 3, &api.RetentionLock{For: 2 * time.Hour, Left: time.Hour}
	p, err := ask[api.Progress](o, api.JobDelete, api.JobDeleteRequest{Job: "web", DropPoints: true})
	if err != nil || !p.Done || !strings.Contains(p.Text, "another 1h") {
		t.Fatalf("%+v, %v", p, err)
	}

	o.disks = map[string]api.DiskFacts{"/b": {Path: "/b", Kind: api.PathFile, Size: 1 << 20, Holds: true}}
	if r := o.apply(locked, false); len(r.Problems) != 1 || r.Problems[0].Rule != "empty" {
		t.Fatalf("a new job took over data: %+v", r)
	}
	o.lock.Deleted = &deleted
	for change, rule := range map[[2]string]string{{`"lock":"2h"`, `"lock":"1h"`}: "lock", {`"path":"/b"`, `"path":"/c"`}: "immutable"} {
		if r := o.apply(strings.Replace(locked, change[0], change[1], 1), false); len(r.Problems) != 1 || r.Problems[0].Rule != rule {
			t.Errorf("%s was not refused: %+v", change[1], r)
		}
	}
	if r := o.apply(locked, false); r.Change != api.Created || len(r.Problems) > 0 || o.jobs.m["web"].Journal.Lock != spec.Duration(2*time.Hour) {
		t.Fatalf("%+v", r)
	}
}

// A VM whose points are locked keeps its job: without it nobody would care for the
// replica that the points need. The vcenter service is not even asked.
func TestAVMWithLockedPointsKeepsItsJob(t *testing.T) {
	o := newOwner(t)
	o.vmJobs.m["shop"], o.vmJobs.rev["shop"] = spec.VMJob{}, 1
	j := spec.ReplicationJob{Name: "web01", Of: "shop", Journal: spec.Journal{Lock: spec.Duration(time.Hour)}}
	o.jobs.m["web01"], o.jobs.rev["web01"] = j, 1
	r := api.JobDeleteRequest{Job: "shop", DropPoints: true, Force: true, Replicas: true}
	o.lock = &api.RetentionLock{For: time.Hour, Left: time.Minute}
	if _, err := ask[api.Progress](o, api.JobDelete, r); !cdp.Is(err, cdp.Conflict) || len(o.asked) > 0 {
		t.Error(err, o.asked)
	}
	o.silent = cdp.Errorf(cdp.Transient, "ask", "", "silent")
	if _, err := ask[api.Progress](o, api.JobDelete, r); !cdp.Is(err, cdp.Transient) || len(o.asked) > 0 {
		t.Error(err, o.asked)
	}
	o.silent, o.lock, o.steps = nil, &api.RetentionLock{For: time.Hour}, []api.Progress{{Done: true}}
	if _, err := ask[api.Progress](o, api.JobDelete, r); err != nil || len(o.asked) != 1 {
		t.Error(err, o.asked)
	}
}
