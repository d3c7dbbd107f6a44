package health

import (
	"encoding/json"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

func aMember(group, vm string, state inventory.MemberState) api.VMMember {
	return api.VMMember{Group: cdp.GroupID(group), VM: vm, State: state, Replica: vm + "-replica"}
}

// A job on VMs is protected when all VMs that it selects are.
func TestTheStateOfAJobOnVMs(t *testing.T) {
	job := spec.VMJob{Job: inventory.Job{Name: "shop"}}
	own := func(name string, state State) Group {
		return Group{Job: name, State: state, RPO: "1s", Of: "shop"}
	}
	st := func(running bool, members ...api.VMMember) *api.VMJobState {
		return &api.VMJobState{Job: "shop", Running: running, Members: members}
	}
	for name, x := range map[string]struct {
		f    VMFacts
		want State
		vms  int
	}{
		"all":     {VMFacts{Job: job, State: st(true, aMember("a", "a", "ready"), aMember("b", "b", "ready")), Groups: []Group{own("a", Protected), own("b", Protected)}}, Protected, 2},
		"some":    {VMFacts{Job: job, State: st(true, aMember("a", "a", "ready"), aMember("b", "b", "refused")), Groups: []Group{own("a", Protected)}}, "1 of 2 protected", 2},
		"gone":    {VMFacts{Job: job, State: st(true, aMember("a", "a", "ready"), aMember("b", "b", "gone")), Groups: []Group{own("a", Protected), own("b", Stopped)}}, Protected, 2},
		"seeding": {VMFacts{Job: job, State: st(true, aMember("a", "a", "ready")), Groups: []Group{own("a", Seeding)}}, Seeding, 1},
		"prepare": {VMFacts{Job: job, State: st(true, aMember("a", "a", "preparing"))}, "preparing", 1},
		"stopped": {VMFacts{Job: job, State: st(false, aMember("a", "a", "ready")), Groups: []Group{own("a", Stopped)}}, Stopped, 1},
		"none":    {VMFacts{Job: job, State: st(true)}, NoData, 0},
		"worst":   {VMFacts{Job: job, State: st(true, aMember("b", "b", "gone"), aMember("a", "a", "ready")), Groups: []Group{own("a", Late), own("b", Stopped)}}, Late, 2},
		"silent":  {VMFacts{Job: job, Err: cdp.Errorf(cdp.Transient, "ask", "", "no"), Groups: []Group{own("a", Protected)}}, "1 of 1 protected", 1},
		"unknown": {VMFacts{Job: job, Err: cdp.Errorf(cdp.Transient, "ask", "", "no")}, Unknown, 0},
	} {
		h := JudgeVMs(x.f)
		if h.State != x.want || len(h.VMs) != x.vms {
			data, _ := json.Marshal(h)
			t.Errorf("%s: %q, want %q: %s", name, h.State, x.want, data)
		}
		if h.State == Protected && x.f.Err != nil {
			t.Error("protected, and nobody said so")
		}
	}
}

// Without a protected VM, the state of a job is that of its worst VM. A VM that
// has left the job counts last.
func TestTheWorstVMIsTheJobsState(t *testing.T) {
	for _, x := range []struct {
		want State
		vms  []VM
	}{
		{Late, []VM{{Member: "gone", State: Stopped}, {Member: "ready", State: Seeding}, {Member: "ready", State: Late}}},
		{"refused", []VM{{Member: "preparing", State: "preparing"}, {Member: "refused", State: "refused"}}},
		{Failed, []VM{{Member: "ready", State: Late}, {Member: "ready", State: Failed}}},
		{FailedOver, []VM{{Member: "failed-over", State: FailedOver}}},
	} {
		if got := worst(x.vms); got != x.want {
			t.Errorf("%q, want %q: %+v", got, x.want, x.vms)
		}
	}
}
