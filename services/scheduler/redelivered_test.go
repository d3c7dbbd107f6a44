package scheduler_test

import (
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// A command to delete a job that was obeyed, and whose acknowledgment was lost, comes
// again: it has succeeded, and leaves alone what has the name of its job by then.
func TestADeletionThatComesAgainHasSucceeded(t *testing.T) {
	o := newOwner(t)
	o.apply(disksDoc, false)
	o.apply(vmsDoc, false)
	member := spec.ReplicationJob{Name: "shop-web01", Of: "shop", RPO: spec.Duration(spec.DefaultRPO), Source: spec.Source{Site: "prod"}, Target: spec.Target{Site: "dr"}}
	if _, err := ask[api.Empty](o, api.VMGroupApply, api.VMGroupApplyRequest{Job: member}); err != nil {
		t.Fatal(err)
	}
	o.vms = api.VMJobState{Job: "shop", Members: []api.VMMember{{Group: "shop-web01", State: inventory.Gone}}}
	o.steps = []api.Progress{{Done: true}, {Done: true}}
	for _, job := range []string{"web", "shop-web01", "shop"} {
		e := cmd(t, "delete-"+job, event.JobDelete{Job: job, DropPoints: true})
		for range 3 {
			if err := o.DeleteJob(t.Context(), e); err != nil {
				t.Fatalf("%s: %v", job, err)
			}
			if job == "shop-web01" { // as the vcenter service asks for it
				if _, err := ask[api.Empty](o, api.VMGroupDelete, api.GroupRequest{Group: "shop-web01"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := o.DeleteJob(t.Context(), cmd(t, "another-"+job, event.JobDelete{Job: job})); !cdp.Is(err, cdp.NotFound) {
			t.Errorf("%s: another command: %v", job, err)
		}
	}
	if len(o.jobs.m)+len(o.vmJobs.m) != 0 || len(o.asked) != 2 {
		t.Errorf("left %v %v; asked %+v", o.jobs.m, o.vmJobs.m, o.asked)
	}
	// A new job of the name, at another revision.
	o.jobs.rev["web"] = 7
	if _, err := o.jobs.Put(t.Context(), "web", spec.ReplicationJob{Name: "web"}, 7); err != nil {
		t.Fatal(err)
	}
	if err := o.DeleteJob(t.Context(), cmd(t, "delete-web", event.JobDelete{Job: "web", DropPoints: true})); err != nil || len(o.jobs.m) != 1 {
		t.Errorf("an old command has deleted a new job: %v", err)
	}
}
