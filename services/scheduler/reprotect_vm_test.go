package scheduler_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

func (o *owner) Job(_ context.Context, _ cdp.Site, name string) (spec.ReplicationJob, error) {
	j, ok := o.linked[name]
	if !ok {
		return j, cdp.Errorf(cdp.NotFound, "find job", name, "none")
	}
	return j, nil
}

func (o *owner) Failover(context.Context, cdp.Site, string) (*failoverrun.Run, error) {
	return o.run, nil
}

func (o *owner) Reverse(_ context.Context, r api.VMReverseRequest) (api.VMReverseReply, error) {
	o.reversed = append(o.reversed, r)
	x := o.reverse
	if r.Place != nil {
		x.Overwrites, x.Copies = nil, 1<<30
		x.Job = spec.VMJob{Job: inventory.Job{Name: r.Name, Source: inventory.JobSource{Capture: cdp.CBT, VMs: []inventory.Selector{{UUID: "503e115f-0c9a-7721-d04b-88126faa5d03"}}}, Target: *r.Place}, SourceSite: r.Of.Target.Site, TargetSite: r.Site,
			RPO: spec.Duration(time.Minute), Journal: spec.Journal{Mode: cdp.Rollback, History: spec.Duration(time.Hour)}, Reverses: &r.Reverses}
		return x, nil
	}
	x.Job = spec.VMJob{Job: inventory.Job{Name: r.Name}, SourceSite: r.Of.Target.Site, TargetSite: r.Of.Source.Site, RPO: r.Of.RPO, Journal: r.Of.Journal, Reverses: &r.Reverses}
	return x, nil
}

func (o *owner) Start(_ context.Context, job string) error {
	o.started = append(o.started, job)
	return nil
}

// failedOver is a site that the VM of the group shop-web01 came from: it runs at prod.
func failedOver(t *testing.T) *owner {
	o := newOwner(t)
	j := spec.ReplicationJob{Name: "shop-web01", Of: "shop", Source: spec.Source{Site: "dr", VM: "4f"}, Target: spec.Target{Site: "prod"}, Journal: spec.Journal{History: 100, Lock: 50}}
	o.linked = map[string]spec.ReplicationJob{j.Name: j}
	o.run = &failoverrun.Run{Request: failoverrun.Request{Job: j.Name, ID: "r1", Mode: recovery.Production, To: recovery.ToVM}, Pinned: failoverrun.Pinned{Spec: j},
		Phase: recovery.Committed, Goal: recovery.Commit, VM: &api.VMRun{UUID: "7a"}}
	o.reverse.Overwrites = []api.DiskFacts{{Path: "[ds] web01/web01.vmdk", Size: 1 << 30}}
	return o
}

func (o *owner) reprotect(r api.ReprotectRequest) (api.ReprotectReply, error) {
	r.Job, r.Site = "shop-web01", "prod"
	return ask[api.ReprotectReply](o, api.JobReprotect, r)
}

// The job that leads back from the failover of a VM is written once that is confirmed and
// nothing refuses it; asked again the same goes on until the VM's own job is there.
func TestAJobOnVMsLeadsBackFromAFailover(t *testing.T) {
	o := failedOver(t)
	if r, err := o.reprotect(api.ReprotectRequest{DryRun: true}); err != nil || r.Job.Name != "shop-web01-back" || r.Bytes() != 1<<30 || len(o.vmJobs.m) != 0 {
		t.Fatal(r, err)
	}
	if _, err := o.reprotect(api.ReprotectRequest{}); !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "[ds] web01/web01.vmdk (1.0 GiB)") || len(o.vmJobs.m) != 0 {
		t.Fatal(err)
	}
	o.reverse.Problems = []inventory.Problem{{Rule: "power", Text: "the old VM is on"}}
	if r, err := o.reprotect(api.ReprotectRequest{Yes: true}); err != nil || len(r.Problems) != 1 || len(o.vmJobs.m) != 0 {
		t.Fatal(r, err)
	}
	o.reverse.Problems = nil
	o.vms.Trouble = "the old VM has a snapshot"
	r, err := o.reprotect(api.ReprotectRequest{Yes: true, Run: "r1"})
	is := o.vmJobs.m["shop-web01-back"]
	if err != nil || r.Done || !strings.Contains(r.Text, "has a snapshot") || !slices.Equal(o.started, []string{"shop-web01-back"}) || is.Journal.Lock != 0 || is.Journal.History != 100 {
		t.Fatal(r, err, o.started, is)
	}
	if want := (spec.Reverses{Site: "prod", Job: "shop-web01", Run: "r1", Round: 1, OldDisks: true, VM: "4f"}); *is.Reverses != want || o.reversed[0].VM != "7a" {
		t.Errorf("%+v", is.Reverses)
	}
	o.jobs.m["back-web01"] = spec.ReplicationJob{Name: "back-web01", Of: is.Name, Reverses: is.Reverses, Source: spec.Source{Site: "prod"}, Target: spec.Target{Site: "dr"}}
	if r, err = o.reprotect(api.ReprotectRequest{}); err != nil || r.Done { // nobody had it run yet
		t.Error(r, err)
	}
	o.states.m["back-web01"] = api.RunState{Desired: api.DesiredRunning}
	if r, err = o.reprotect(api.ReprotectRequest{}); err != nil || !r.Done || r.Job.Name != "back-web01" || r.Job.Direction() != "prod -> dr (reversed)" {
		t.Error(r, err)
	}
	if _, err := o.reprotect(api.ReprotectRequest{As: "other", Yes: true}); !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "back-web01 reverses it already") {
		t.Error(err)
	}
}

// A reprotection that cannot lead back says why, and writes nothing.
func TestAJobOnVMsThatCannotLeadBack(t *testing.T) {
	for want, change := range map[string]func(*owner, *api.ReprotectRequest){
		"not final":         func(o *owner, _ *api.ReprotectRequest) { o.run.Phase, o.run.Goal = recovery.Ready, recovery.Recover },
		"is not recorded":   func(o *owner, _ *api.ReprotectRequest) { o.run.VM = nil },
		"for jobs of disks": func(_ *owner, r *api.ReprotectRequest) { r.Disks = []spec.TargetDisk{{Name: "a", Path: "/a"}} },
		"another job":       func(o *owner, _ *api.ReprotectRequest) { o.vmJobs.m["shop-web01-back"] = spec.VMJob{} },
		"same name":         func(_ *owner, r *api.ReprotectRequest) { r.As = "shop" },
		"where a new VM has to be made": func(o *owner, _ *api.ReprotectRequest) {
			j := o.linked["shop-web01"]
			j.Source.Site = "moon"
			o.linked["shop-web01"] = j
		},
	} {
		o := failedOver(t)
		r := api.ReprotectRequest{Yes: true}
		change(o, &r)
		if _, err := o.reprotect(r); err == nil || !strings.Contains(err.Error(), want) || len(o.started) > 0 || len(o.facts) > 0 {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Reversing a reversal makes a third job. It has the settings of the first, and names it as
// the one that the VM was a replica of.
func TestAVMIsProtectedForthAgain(t *testing.T) {
	o := failedOver(t)
	o.jobs.m["web-first"] = spec.ReplicationJob{Name: "web-first", Of: "first", Journal: spec.Journal{History: 700, Lock: 70}}
	j := o.linked["shop-web01"]
	j.Of, j.Reverses = "first-back", &spec.Reverses{Site: "dr", Job: "web-first", Run: "r0", Round: 1, VM: "7a"}
	o.linked["shop-web01"], o.run.Pinned.Spec = j, j
	if _, err := o.reprotect(api.ReprotectRequest{Yes: true}); err != nil {
		t.Fatal(err)
	}
	is := o.vmJobs.m["first-r2"]
	if is.Reverses == nil || is.Reverses.Before != "web-first" || is.Reverses.Round != 2 || is.Journal.Lock != 70 || is.Journal.History != 700 {
		t.Errorf("%+v", o.vmJobs.m)
	}
}

// A VM can be brought to a new VM, at any site. Nothing is overwritten by that, so nothing
// has to be confirmed, and what was asked for before is not changed by asking for another
// place.
func TestAVMIsBroughtToAnotherSite(t *testing.T) {
	o := failedOver(t)
	j := o.linked["shop-web01"]
	j.Source.Site = "burnt"
	o.linked["shop-web01"], o.run.Pinned.Spec = j, j
	place := &inventory.JobTarget{Host: "esx1", Datastore: "ds1", Suffix: "-home"}
	if _, err := o.reprotect(api.ReprotectRequest{To: "moon", Place: place}); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), "is to go to moon") {
		t.Error(err)
	}
	bad := *place
	bad.Suffix = "a/b"
	if r, err := o.reprotect(api.ReprotectRequest{Place: &bad}); err != nil || len(r.Problems) != 1 || r.Problems[0].Path != "/spec/target/suffix" || len(o.vmJobs.m) != 0 {
		t.Error(r, err)
	}
	if r, err := o.reprotect(api.ReprotectRequest{Place: place, DryRun: true}); err != nil || r.Copies != 1<<30 || r.Bytes() != 0 || len(o.vmJobs.m) != 0 {
		t.Error(r, err)
	}
	r, err := o.reprotect(api.ReprotectRequest{To: "dr", Place: place})
	is := o.vmJobs.m["shop-web01-back"]
	if err != nil || r.Copies != 1<<30 || is.Reverses == nil || is.Reverses.OldDisks || is.Reverses.VM != "" || is.TargetSite != "dr" || is.Job.Target.Host != "esx1" {
		t.Fatal(r, err, is)
	}
	for range 2 { // with the place or without, it goes on
		if _, err := o.reprotect(api.ReprotectRequest{Place: place}); err != nil {
			t.Error(err)
		}
		place = &is.Job.Target
	}
	other := *place
	other.Datastore = "ds2"
	if _, err := o.reprotect(api.ReprotectRequest{Place: &other}); !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "to another place") {
		t.Error(err)
	}
	if _, err := o.reprotect(api.ReprotectRequest{Place: place, Round: 2}); !cdp.Is(err, cdp.Invalid) {
		t.Error(err)
	}
	_, err = o.reprotect(api.ReprotectRequest{Place: place, Round: 3}) // the site of the first is lost
	if is := o.vmJobs.m["shop-web01-r3"]; err != nil || is.Reverses == nil || is.Reverses.Round != 3 {
		t.Error(err, is)
	}
}
