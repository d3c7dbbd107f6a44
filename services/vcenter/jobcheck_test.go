package vcenter_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/spec"
	"tidemark.dev/pkg/vms"
	"tidemark.dev/services/vcenter"
)

func (w *world) checked(job spec.VMJob) api.JobCheckReply {
	w.t.Helper()
	reply, err := ask[api.JobCheckReply](w.ctx, w.b, api.VMJobCheck, vcenter.JobRequest{Job: job})
	w.must(err)
	return reply
}

func told(ps []vms.Problem) string { return fmt.Sprintf("%+v", ps) }

// TestJobChange: what stands in the way of a job as it is does not keep it from
// being changed; what the change brings does.
func TestJobChange(t *testing.T) {
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	job := shop(w.b)
	// No guest tells an address: that may come with the VM's power.
	job.Job.Target.ReIP = []vms.ReIP{{From: "10.1.0.0/24", To: "10.9.0.0/24"}}
	if r := w.checked(job); len(r.Problems) > 0 || len(r.Warnings) != 1 || r.Warnings[0].Path != "/spec/target/reIP/0/from" {
		t.Fatalf("%+v", r)
	}
	w.apply(job)
	w.until("web01 is ready", func() bool { return w.states()["web01"] == "ready" })
	bad := web("db01")
	bad.Disks[0].Mode = "independent_persistent"
	_, err = w.a.sim.AddVM(bad)
	w.must(err)
	w.until("db01 is refused", func() bool { return w.states()["db01"] == "refused" })

	job.RPO = spec.Duration(2 * time.Minute)
	r := w.checked(job)
	if len(r.Problems) > 0 || len(r.Warnings) != 2 || !strings.Contains(told(r.Warnings), "VM:db01") || fmt.Sprint(r.VMs) != "[web01]" {
		t.Errorf("a changed RPO: %+v", r)
	}
	st, err := ask[api.VMJobsReply](w.ctx, w.b, api.VMJobStatus, api.VMJobName{Job: "shop"})
	w.must(err)
	if !strings.Contains(st.Jobs[0].Trouble, "10.1.0.0/24") {
		t.Errorf("%+v", st)
	}

	worse := job
	worse.Target.Networks = nil
	if r := w.checked(worse); !strings.Contains(told(r.Problems), "VM:web01 Path:/spec/target/networks") || strings.Contains(told(r.Problems), "independent") {
		t.Errorf("a change that takes a network away: %+v", r)
	}
	worse = job
	worse.Job.Source.VMs = append([]vms.Selector{{Name: "nobody"}}, job.Job.Source.VMs...)
	if r := w.checked(worse); len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Text, "nobody") {
		t.Errorf("a change that names a VM that is not there: %+v", r)
	}
	job.Name = "other" // a new job is refused for all that is known
	if r := w.checked(job); !strings.Contains(told(r.Problems), "independent") {
		t.Errorf("%+v", r)
	}
}
