package vcenter_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

func (w *world) checked(job spec.VMJob) api.JobCheckReply {
	w.t.Helper()
	reply, err := ask[api.JobCheckReply](w.ctx, w.b, api.VMJobCheck, api.VMJobCheckRequest{Job: job})
	w.must(err)
	return reply
}

func told(ps []inventory.Problem) string { return fmt.Sprintf("%+v", ps) }

// Problems that the change itself causes do.
func TestKnownProblemsDoNotPreventAChange(t *testing.T) {
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	job := shop(w.b)
	// No guest reports an address yet: it may when the VM is on.
	job.Job.Target.ReIP = []inventory.ReIP{{From: "10.1.0.0/24", To: "10.9.0.0/24"}}
	if r := w.checked(job); len(r.Problems) > 0 || len(r.Warnings) != 2 || r.Warnings[0].Path != "/spec/target/reIP/0/from" || r.Warnings[1].Rule != "nvram" {
		t.Fatalf("%+v", r)
	}
	inside := job
	if inside.Target.GuestLogin = "windows"; !strings.Contains(told(w.checked(inside).Problems), "/spec/target/guestLogin") {
		t.Error("a login at guests that this site does not have is taken")
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
	if len(r.Problems) > 0 || len(r.Warnings) != 2 || !strings.Contains(told(r.Warnings), "db01: ") || fmt.Sprint(r.VMs) != "[web01]" {
		t.Errorf("a changed RPO: %+v", r)
	}
	st, err := ask[api.VMJobsReply](w.ctx, w.b, api.VMJobStatus, api.VMJobName{Job: "shop"})
	w.must(err)
	if !strings.Contains(st.Jobs[0].Trouble, "10.1.0.0/24") {
		t.Errorf("%+v", st)
	}

	worse := job
	worse.Target.Networks = nil
	if r := w.checked(worse); !strings.Contains(told(r.Problems), "web01: /spec/target/networks") || strings.Contains(told(r.Problems), "independent") {
		t.Errorf("a change that takes a network away: %+v", r)
	}
	worse = job
	worse.Job.Source.VMs = append([]inventory.Selector{{Name: "nobody"}}, job.Job.Source.VMs...)
	if r := w.checked(worse); len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Text, "nobody") {
		t.Errorf("a change that names a VM that is not there: %+v", r)
	}
	job.Name = "other" // a new job is refused for all that is known
	if r := w.checked(job); !strings.Contains(told(r.Problems), "independent") {
		t.Errorf("%+v", r)
	}
}

// A folder, tag or excluded VM that does not exist is a problem. One that exists and
// selects nothing yet is not.
func TestSelectorsOfNothing(t *testing.T) {
	w := newWorld(t)
	gold, silver := web("web01"), web("web02")
	gold.Tags, silver.Tags = []string{"tier/gold"}, []string{"tier/silver"}
	_, err := w.a.sim.AddVM(gold)
	w.must(err)
	made, err := w.a.sim.AddVM(silver)
	w.must(err)
	v, err := w.a.c.VM(w.ctx, made.UUID)
	w.must(err)
	w.must(w.a.c.PowerOff(w.ctx, v.Ref))
	w.must(w.a.c.Destroy(w.ctx, v.Ref, true))
	w.until("web02 is gone", func() bool {
		return !strings.Contains(fmt.Sprint(w.checked(shop(w.b)).VMs), "web02")
	})
	job := shop(w.b)
	for _, x := range []struct {
		s             inventory.Selector
		path, problem string
		warning       string
	}{
		{inventory.Selector{Tag: "tier/gold"}, "", "", ""},
		{inventory.Selector{Tag: "tier/silver"}, "", "", `"tier/silver" matches no VM yet`},
		{inventory.Selector{Tag: "tier/glod"}, "/tag", `the category tier has no tag "glod", but gold, silver`, ""},
		{inventory.Selector{Tag: "teir/gold"}, "/tag", `there is no tag category "teir"`, ""},
		{inventory.Selector{Folder: "nowhere"}, "/folder", `no folder "nowhere"`, ""},
		{inventory.Selector{Tag: "tier/gold", Exclude: []string{"web01", "wbe02"}}, "/exclude/1", `no VM "wbe02"`, ""},
	} {
		job.Job.Source.VMs = []inventory.Selector{x.s}
		r := w.checked(job)
		if n := len(r.Problems); x.problem == "" && n > 0 ||
			x.problem != "" && (n != 1 || r.Problems[0].Path != "/spec/source/vms/0"+x.path || !strings.Contains(r.Problems[0].Text, x.problem)) {
			t.Errorf("%+v: %+v", x.s, r.Problems)
		}
		r.Warnings = slices.DeleteFunc(r.Warnings, func(p inventory.Problem) bool { return p.Rule == "nvram" })
		if n := len(r.Warnings); x.warning == "" && n > 0 || x.warning != "" && (n != 1 || !strings.Contains(r.Warnings[0].Text, x.warning)) {
			t.Errorf("%+v: %+v", x.s, r.Warnings)
		}
	}
}

// Which VMs join and leave, and what existing replicas do not follow.
func TestCheckReportsWhatAChangeDoes(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"web01", "web02"} {
		_, err := w.a.sim.AddVM(web(name))
		w.must(err)
	}
	job := shop(w.b)
	job.Job.Source.VMs = []inventory.Selector{{Name: "web01"}, {Name: "web02"}}
	if r := w.checked(job); fmt.Sprint(r.Joins, r.Leaves) != "[web01 web02] []" || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0].Text, "EFI variables (the nvram file) are not copied, for web01, web02:") {
		t.Errorf("%+v", r)
	}
	w.apply(job)
	w.until("both are ready", func() bool { return w.states()["web01"] == "ready" && w.states()["web02"] == "ready" })
	if r := w.checked(job); fmt.Sprint(r.Joins, r.Leaves) != "[] []" || len(r.Warnings) > 0 {
		t.Errorf("nothing changed: %+v", r)
	}
	for _, name := range []string{"web03", "web04"} {
		spec := web(name)
		if name == "web04" {
			spec.Disks[0].Mode = "independent_persistent"
		}
		_, err := w.a.sim.AddVM(spec)
		w.must(err)
	}
	other := job
	other.Job.Source.VMs = []inventory.Selector{{Name: "web01"}, {Name: "web03"}, {Name: "web04"}}
	w.until("the source reports the new ones", func() bool {
		r := w.checked(other)
		return fmt.Sprint(r.Joins, r.Leaves) == "[web03] [web02]"
	})
	other = job
	inv := w.inventory(w.b)
	other.Target.Datastore, other.Target.Folder, other.Target.KeepMAC = inv.Datastores[1].Name, inv.Folders[0].Path, true
	other.RPO = spec.Duration(2 * time.Minute)
	r := w.checked(other)
	if len(r.Problems) > 0 || len(r.Warnings) != 3 {
		t.Fatalf("%+v", r)
	}
	for i, field := range []string{"datastore", "folder", "keepMAC"} {
		if p := r.Warnings[i]; p.Path != "/spec/target/"+field || !strings.Contains(p.Text, "new VMs") || !strings.Contains(p.Text, "the 2 existing replicas") {
			t.Errorf("%s: %+v", field, p)
		}
	}
}

func TestConflictsNameTheirOwnerAndAWayOut(t *testing.T) {
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("db01"))
	w.must(err)
	spec := web("twin")
	spec.Folder = "old"
	made, err := w.a.sim.AddVM(spec)
	w.must(err)
	twin, err := w.a.c.VM(w.ctx, made.UUID)
	w.must(err)
	w.must(w.a.c.Label(w.ctx, twin.Ref, "db01", "", nil))
	inv := w.inventory(w.a)
	var paths []string
	for _, v := range inv.VMs {
		if v.Name == "db01" {
			paths = append(paths, v.Path)
		}
	}
	slices.Sort(paths)
	job := shop(w.b)
	job.Job.Source.VMs = []inventory.Selector{{Path: paths[0]}, {Path: paths[1]}}
	r := w.checked(job)
	if len(r.Problems) != 1 || r.Problems[0].Text != "the replicas of "+paths[0]+" and "+paths[1]+" would both be called db01-replica: protect one of them with another job that has another target.suffix" {
		t.Fatalf("%+v", r.Problems)
	}
	job.Job.Source.VMs = job.Job.Source.VMs[:1]
	w.apply(job)
	w.until("db01 is ready", func() bool { return w.states()["db01"] == "ready" })
	other := job
	other.Name = "other"
	w.until("the replica is seen", func() bool { return len(w.checked(other).Problems) == 2 })
	r = w.checked(other)
	if !strings.Contains(told(r.Problems), "db01: ") || !strings.Contains(told(r.Problems), "the job shop already protects it") ||
		!strings.Contains(told(r.Problems), "choose another target.suffix") {
		t.Errorf("%+v", r.Problems)
	}
}
