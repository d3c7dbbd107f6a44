package main

import (
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/failoverrun"
)

// movedAway stores a committed failover of the job of a VM, as the failover service would.
func (d *desk) movedAway(job string) {
	d.t.Helper()
	jobs, err := bus.OpenBucket[spec.ReplicationJob](d.t.Context(), d.conn, "dr", subjects.BucketSpec, subjects.KeyJob)
	if err != nil {
		d.t.Fatal(err)
	}
	x, err := jobs.Get(d.t.Context(), job)
	if err != nil {
		d.t.Fatal(err)
	}
	runs, err := bus.OpenBucket[failoverrun.Run](d.t.Context(), connectAs(d.t, d.url, "dr", subjects.Failover), "dr", subjects.BucketState, subjects.KeyFailover)
	if err == nil {
		_, err = runs.Put(d.t.Context(), job, failoverrun.Run{Request: failoverrun.Request{Job: job, ID: "r1", Mode: recovery.Production, To: recovery.ToVM},
			Pinned: failoverrun.Pinned{Spec: x.Value}, Phase: recovery.Committed, Goal: recovery.Commit, VM: &api.VMRun{UUID: "7a"}})
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// Of a job on VMs, reprotect and failback concern the VMs that were failed over. The others
// are named, and are no error.
func TestOnlyVMsThatWereFailedOverGoHome(t *testing.T) {
	t.Parallel() // it mostly waits
	d := newDesk(t)
	d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){api.VMJobCheck: says(api.JobCheckReply{VMs: []string{"web01", "db01"}})})
	d.apply(0, shopJob)
	d.put("shop", "shop-db01", "shop-web01")
	for _, verb := range []string{"reprotect", "failback"} {
		_, errs := d.do(exitConflict, verb, "shop", "--yes")
		wants(t, errs, "none of its 2 VMs was failed over", "tidemark status shop")
	}
	d.movedAway("shop-web01")
	for _, verb := range []string{"reprotect", "failback"} {
		_, errs := d.do(exitConflict, verb, "shop", "--yes") // it would be asked at prod, which is not here
		wants(t, errs, "shop-db01 was not failed over: it runs at prod", "do it for shop-web01", "asked at the site prod")
		lacks(t, errs, "do it for shop-db01")
	}
	_, errs := d.do(exitUsage, "failback", "shop", "--shutdown", "none", "--shutdown-wait", "1m")
	wants(t, errs, "graceful or forced")
}

// A failback shuts a VM down as it was told to. A machine that is no VM is its owner's to
// shut down.
func TestAFailbackShutsTheVMDown(t *testing.T) {
	f := reprotectFlags{shutdown: shutdownFlags{how: "forced", wait: 10 * time.Minute}}
	for of, want := range map[string]recovery.Destination{"shop": recovery.ToVM, "": recovery.ToFiles} {
		j := spec.ReplicationJob{Name: "shop-web01", Of: of}
		r := f.homeward(j)
		shuts := r.Shutdown == recovery.ShutForced && r.ShutdownWait.Std() == 10*time.Minute
		if err := r.Check(); err != nil || r.To != want || !r.Planned || shuts != (of != "") {
			t.Errorf("%q: %+v, %v", of, r, err)
		}
	}
	if !cdp.Is((failoverrun.Request{Job: "web", ID: "r", Mode: recovery.Production, To: recovery.ToFiles, Planned: true, Shutdown: recovery.ShutForced}).Check(), cdp.Invalid) {
		t.Error("a job of disks can be told to shut a VM down")
	}
}
