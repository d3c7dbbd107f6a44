package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
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

// A failback shuts a VM down as its command says. A machine that is no VM is its owner's to
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

// VMs of a job are failed over in the order that is asked for, and never more at the same
// time than that. One that is refused stops no other.
func TestSomeVMsOfAJobAreFailedOver(t *testing.T) {
	t.Parallel() // it mostly waits
	d := newDesk(t)
	d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){api.VMJobCheck: says(api.JobCheckReply{VMs: []string{"web01", "db01"}})})
	d.apply(0, shopJob)
	d.put("shop", "shop-app01", "shop-db01", "shop-web01")
	runs, err := bus.OpenBucket[failoverrun.Run](t.Context(), connectAs(t, d.url, "dr", subjects.Failover), "dr", subjects.BucketState, subjects.KeyFailover)
	if err != nil {
		t.Fatal(err)
	}
	var started []string
	f := d.serve("dr", subjects.Failover, map[string]func([]byte) (any, error){api.FailoverStart: func(req []byte) (any, error) {
		var r failoverrun.Request
		if err := json.Unmarshal(req, &r); err != nil || r.Job == "" { // the question whether it answers
			return api.Empty{}, nil
		}
		if n := len(started); n > 0 { // only one at a time: the one before is ready
			before, err := runs.Get(t.Context(), started[n-1])
			if err != nil || before.Value.Phase != recovery.Ready {
				t.Errorf("%s began before %s was ready: %+v, %v", r.Job, started[n-1], before.Value.Phase, err)
			}
		}
		if r.Job == "shop-app01" {
			return nil, cdp.Errorf(cdp.Conflict, "start failover", r.Job, "clients read its points")
		}
		started = append(started, r.Job)
		_, err := runs.Put(t.Context(), r.Job, failoverrun.Run{Request: r, Phase: recovery.Ready, Goal: recovery.Recover})
		return api.Empty{}, err
	}})
	args := []string{"failover", "shop", "--mode", "production", "--planned", "--run", "r7"}
	out, errs := d.do(exitConflict, append(args, "--vm", "web01", "--all", "--parallel", "1")...)
	wants(t, errs, "1 of 3  shop-web01", "2 of 3  shop-app01: failed", "fail over shop-app01", "clients read its points")
	wants(t, out, "shop-web01  r7   ready: the VM runs", "shop-db01   r7   ready: the VM runs")
	wants(t, f.saw(), `"job":"shop-web01","run":"r7"`)
	if want := []string{"shop-web01", "shop-db01"}; !slices.Equal(started, want) {
		t.Errorf("%v began, want %v", started, want)
	}
	_, errs = d.do(exitNotFound, append(args, "--vm", "mail01")...)
	wants(t, errs, `no VM "mail01"`, "shop-db01, shop-web01")
	_, errs = d.do(exitUsage, append(args, "--vm", "web01", "--parallel", "0")...)
	wants(t, errs, "at least 1")
	_, errs = d.do(exitUsage, "failover", "shop", "--mode", "test", "--all", "--point", "p7")
	wants(t, errs, "a point of one VM")
}

// Where a VM goes that does not go home is said in full, or not at all.
func TestThePlaceOfANewVM(t *testing.T) {
	for want, f := range map[string]placeFlags{
		"not both":      {target: inventory.JobTarget{Host: "h", Cluster: "c", Datastore: "d"}},
		"--datastore":   {target: inventory.JobTarget{Host: "h"}},
		"or --cluster":  {target: inventory.JobTarget{Datastore: "d"}},
		"for a new VM":  {seeds: []string{"scsi0:0=[d] a/a.vmdk"}},
		"write FROM=TO": {networks: []string{"lan"}},
		"DISK=FILE":     {seeds: []string{"scsi0:0"}},
	} {
		if _, err := f.place(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if p, err := (placeFlags{to: "c"}).place(); p != nil || err != nil {
		t.Error(p, err)
	}
	p, err := placeFlags{target: inventory.JobTarget{Cluster: "c", Datastore: "d"}, networks: []string{"DR=VM Network"}, seeds: []string{"scsi0:0=[d] a/a.vmdk"}}.place()
	if err != nil || p.Networks[0] != (inventory.NetworkMap{From: "DR", To: "VM Network"}) || p.Seeds[0].File != "[d] a/a.vmdk" || p.Seeds[0].Disk != "scsi0:0" {
		t.Error(p, err)
	}
}

// VMs of a job are undone, committed and cleaned up one by one. Of all, those that have
// nothing to end are left, and one that is refused stops no other.
func TestSomeVMsOfAJobAreUndone(t *testing.T) {
	t.Parallel() // it mostly waits
	d := newDesk(t)
	d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){api.VMJobCheck: says(api.JobCheckReply{VMs: []string{"web01", "db01"}})})
	d.apply(0, shopJob)
	d.put("shop", "shop-app01", "shop-db01", "shop-web01")
	conn := connectAs(t, d.url, "dr", subjects.Failover)
	runs, err := bus.OpenBucket[failoverrun.Run](t.Context(), conn, "dr", subjects.BucketState, subjects.KeyFailover)
	if err != nil {
		t.Fatal(err)
	}
	put := func(job string, goal recovery.Goal, phase recovery.Phase) {
		if _, err := runs.Put(t.Context(), job, failoverrun.Run{Request: failoverrun.Request{Job: job, ID: "r7", Mode: recovery.Production, To: recovery.ToVM}, Goal: goal, Phase: phase}); err != nil {
			t.Error(err)
		}
	}
	put("shop-web01", recovery.Recover, recovery.Ready)
	put("shop-db01", recovery.Recover, recovery.Ready)
	ctx, cancel := context.WithCancel(t.Context())
	var served sync.WaitGroup
	served.Go(func() {
		_ = conn.HandleCommands(ctx, subjects.Failover, map[string]bus.Handler{"undo": func(_ context.Context, e event.Event) error {
			var p event.FailoverUndo
			if err := e.Into(&p); err != nil {
				return err
			}
			if p.Job == "shop-db01" {
				return cdp.Errorf(cdp.Conflict, "undo failover", p.Job, "clients use it")
			}
			put(p.Job, recovery.Undo, recovery.Undone)
			return nil
		}})
	})
	defer func() { cancel(); served.Wait() }()
	_, errs := d.do(exitNotFound, "failover", "undo", "shop", "--vm", "mail01")
	wants(t, errs, `no VM "mail01"`)
	_, errs = d.do(exitConflict, "failover", "cleanup", "shop", "--all")
	wants(t, errs, "none of its 3 VMs has anything to cleanup")
	out, errs := d.do(exitConflict, "failover", "undo", "shop", "--all", "--yes")
	wants(t, errs, "shop-app01 has nothing to undo", "shop-db01: failed", "clients use it", "undo failover of shop-db01")
	wants(t, out, "shop-web01  r7", "undone")
	out, _ = d.do(0, "failover", "undo", "shop", "--vm", "web01", "--yes")
	wants(t, out, "shop-web01  r7", "undone")
}
