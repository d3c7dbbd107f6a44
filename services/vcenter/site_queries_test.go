package vcenter_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/services/vcenter"
)

// crowd is a vCenter with many VMs that are like one.
type crowd struct {
	vcenter.VCenter
	like string
	n    int
	fat  int // bytes of settings that each has more
}

func (c crowd) Inventory(ctx context.Context) (inventory.Inventory, error) {
	inv, err := c.VCenter.Inventory(ctx)
	for _, v := range inv.VMs {
		if v.Name != c.like {
			continue
		}
		for i := range c.n {
			x := v
			x.Name, x.UUID, x.Ref = fmt.Sprintf("%s-%04d", v.Name, i), fmt.Sprintf("%04d-%s", (i*7)%c.n, v.UUID), inventory.Ref(fmt.Sprintf("VirtualMachine:x%d", i))
			x.Path = strings.TrimSuffix(v.Path, v.Name) + x.Name
			x.Note = strings.Repeat("x", c.fat)
			inv.VMs = append(inv.VMs, x)
		}
	}
	return inv, err
}

// However many VMs there are, and however large each is.
func TestAnswersFitIntoMessages(t *testing.T) {
	const message = 1 << 20
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	for what, c := range map[string]crowd{"many": {w.a.c, "web01", 263, 0}, "fat": {w.a.c, "web01", 30, 90 << 10}} {
		w.a.stop()
		w.a.vc = c
		w.a.start()
		vmPages, after := 0, ""
		seen := map[string]bool{}
		for more := true; more; vmPages++ {
			r, size, err := sized[api.VMsReply](w.ctx, w.a, api.VCenterVMs, api.VMsRequest{After: after, Fresh: after == ""})
			w.must(err)
			if size > message || len(r.VMs) > 100 {
				t.Fatalf("%s: a page of %d VMs has %d bytes", what, len(r.VMs), size)
			}
			for _, v := range r.VMs {
				seen[v.Path] = true
			}
			more, after = r.More, r.VMs[len(r.VMs)-1].Path
		}
		if len(seen) != c.n+2 || vmPages < 3 { // and web01 and the transporter
			t.Errorf("%s: %d VMs on %d pages", what, len(seen), vmPages)
		}
		for after, n := "", 0; ; {
			r, size, err := sized[api.MembersReply](w.ctx, w.a, api.VCenterMembers, api.MembersRequest{VMs: []inventory.Selector{{Folder: "prod"}, {Name: "nobody"}}, After: after})
			w.must(err)
			if size > message || len(r.VMs) > 100 || len(r.Hosts) == 0 || (len(r.Problems) > 0) != (after == "") {
				t.Fatalf("%s: %d bytes, %d VMs, hosts %v, problems %v", what, size, len(r.VMs), r.Hosts, r.Problems)
			}
			n += len(r.VMs)
			if !r.More {
				if n != c.n+1 {
					t.Errorf("%s: %d members", what, n)
				}
				break
			}
			after = r.VMs[len(r.VMs)-1].UUID
		}
		job := shop(w.b)
		job.Target.Suffix = "-copy"
		reply, err := ask[api.JobCheckReply](w.ctx, w.b, api.VMJobCheck, api.VMJobCheckRequest{Job: job})
		w.must(err)
		if len(reply.VMs) != c.n+1 || reply.VMs[1] != "web01-0000" {
			t.Errorf("%s: the job means %d VMs", what, len(reply.VMs))
		}
	}
}

func TestAnswersContainOwnChanges(t *testing.T) {
	w := failover(t, nil)
	told := func(name string) (out inventory.VM) {
		r, err := ask[api.VMsReply](w.ctx, w.b, api.VCenterVMs, api.VMsRequest{})
		w.must(err)
		for _, v := range r.VMs {
			if v.Name == name {
				out = v
			}
		}
		return out
	}
	same := func(after string) {
		t.Helper()
		for _, name := range []string{"web01-replica", "transporter"} {
			now, _ := w.vm(w.b, name)
			if got := told(name); len(got.Hardware.Disks) != len(now.Hardware.Disks) || got.Power != now.Power || len(got.Snapshots) != len(now.Snapshots) {
				t.Errorf("after %s, %s is reported as %+v, but is %+v", after, name, got, now)
			}
		}
	}
	for _, step := range []string{api.VMAttach, api.VMBoot, api.VMStop, api.VMReturn} {
		told("transporter") // so that there is something old at hand
		w.step(step, false)
		same(step)
	}
	w.must(w.b.c.Label(w.ctx, told("transporter").Ref, "www", "", nil))
	r, err := ask[api.VMsReply](w.ctx, w.b, api.VCenterVMs, api.VMsRequest{Fresh: true})
	w.must(err)
	if got := fmt.Sprint(names(r.VMs)); !strings.Contains(got, "www") {
		t.Error("a fresh answer:", got)
	}
}

func names(in []inventory.VM) (out []string) {
	for _, v := range in {
		out = append(out, v.Name)
	}
	return out
}

func TestATapNeedsItsFilterOnEveryHost(t *testing.T) {
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	job := shop(w.b)
	job.Job.Source.Capture, job.Job.Source.Filter = "tap", "tap"
	check := func(rule string, hosts ...inventory.Host) {
		t.Helper()
		r, err := ask[api.JobCheckReply](w.ctx, w.b, api.VMJobCheck, api.VMJobCheckRequest{Job: job})
		w.must(err)
		if len(r.Problems) != 1 || r.Problems[0].Rule != rule || r.Problems[0].Path != "/spec/source/filter" {
			t.Fatalf("%+v", r)
		}
		for _, h := range hosts {
			if !strings.Contains(r.Problems[0].Text, h.Name) {
				t.Errorf("%q does not name %s", r.Problems[0].Text, h.Name)
			}
		}
	}
	inv := w.inventory(w.a)
	v, _ := w.vm(w.a, "web01")
	for _, h := range inv.Hosts {
		if h.Ref == v.Host {
			check("reference", h)
		}
	}
	cl := inv.Clusters[0].Name
	url := bundles(t)
	w.a.progress(api.FilterChange, api.FilterRequest{Cluster: cl, Do: "install", Bundle: url + "/tap-1.zip"})
	check("partial", inv.Hosts...)
	st, err := ask[api.FiltersReply](w.ctx, w.a, api.FilterStatus, api.FilterRequest{Cluster: cl})
	w.must(err)
	w.a.inTurn(func() {
		w.a.progress(api.FilterChange, api.FilterRequest{Cluster: cl, Do: "resolve", Filter: st.Filters[0].ID})
	})
	r, err := ask[api.JobCheckReply](w.ctx, w.b, api.VMJobCheck, api.VMJobCheckRequest{Job: job})
	w.must(err)
	if len(r.Problems) > 0 {
		t.Errorf("%+v", r.Problems)
	}
	w.a.sim.Stop() // an answer that is missing is not taken for a good one
	r, err = ask[api.JobCheckReply](w.ctx, w.b, api.VMJobCheck, api.VMJobCheckRequest{Job: job})
	if err == nil && len(r.Problems) == 0 || err != nil && !cdp.Is(err, cdp.Transient) {
		t.Error(r, err)
	}
	w.must(w.a.sim.Resume())
}
