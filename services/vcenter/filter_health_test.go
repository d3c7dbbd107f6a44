package vcenter_test

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// installFilter puts an I/O filter on all hosts of the source, and gives its id.
func (w *world) installFilter() string {
	w.t.Helper()
	cl := w.inventory(w.a).Clusters[0].Name
	w.a.progress(api.FilterChange, api.FilterRequest{Cluster: cl, Do: "install", Bundle: bundles(w.t) + "/tap-1.zip"})
	st, err := ask[api.FiltersReply](w.ctx, w.a, api.FilterStatus, api.FilterRequest{Cluster: cl})
	w.must(err)
	w.a.inTurn(func() {
		w.a.progress(api.FilterChange, api.FilterRequest{Cluster: cl, Do: "resolve", Filter: st.Filters[0].ID})
	})
	return st.Filters[0].ID
}

// seenDisks is how many of a VM's disks filters see.
func (w *world) seenDisks(uuid string) (n int) {
	w.t.Helper()
	v, err := w.a.c.VM(w.ctx, uuid)
	w.must(err)
	for _, d := range v.Hardware.Disks {
		n += len(d.Filters)
	}
	return n
}

// member is the status of the only VM of the job.
func (w *world) member() api.VMMember {
	w.t.Helper()
	st, err := ask[api.VMJobsReply](w.ctx, w.b, api.VMJobStatus, api.VMJobName{Job: "shop"})
	w.must(err)
	if len(st.Jobs) != 1 || len(st.Jobs[0].Members) != 1 {
		return api.VMMember{}
	}
	return st.Jobs[0].Members[0]
}

// capture sets the state of every group at capture.
func (w *world) capture(state event.CaptureState, exports ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.captures, w.exports = state, exports
}

// A filter that is detached from a running VM, is attached and silent, or cannot be
// attached raises an alarm and is attached again.
func TestAFilterThatSendsNothingIsAttachedAgain(t *testing.T) {
	w := newWorld(t)
	src, err := w.a.sim.AddVM(web("web01"))
	w.must(err)
	v, err := w.a.c.VM(w.ctx, src.UUID)
	w.must(err)
	filter := w.installFilter()
	job := shop(w.b)
	job.Job.Source.Capture, job.Job.Source.Filter = "tap", filter
	w.apply(job)
	w.until("web01 is ready", func() bool { return w.states()["web01"] == "ready" })
	exports := []string{"nbd://10.0.0.1:1/0", "nbd://10.0.0.1:1/1"}
	w.capture("needs-resync", exports...)
	w.must(w.b.tell(api.VMJobRun, api.VMJobName{Job: "shop"}))
	w.until("the filter sees both disks", func() bool { return w.seenDisks(src.UUID) == 2 })
	w.capture("replicating", exports...)
	w.until("all is well", func() bool { m := w.member(); return m.Power == "on" && m.Unseen == "" })

	detach := func() {
		t.Helper()
		w.must(w.a.c.DetachFilter(w.ctx, v.Ref, filter, []int32{v.Hardware.Disks[1].Key}))
		w.capture("needs-resync", exports...)
	}
	detach()
	w.until("it is reported", func() bool {
		return w.reported("found detached") && strings.Contains(w.member().Unseen, "found detached")
	})
	w.until("it is attached again", func() bool { return w.seenDisks(src.UUID) == 2 })
	w.capture("replicating", exports...)
	w.until("that is reported too", func() bool { return w.reported("captured again") && w.member().Unseen == "" })

	// It is attached, and says nothing: as if it did not find its way to capture.
	w.capture("needs-resync", exports...)
	w.until("it is reported", func() bool { return strings.Contains(w.member().Unseen, "sends no writes") })
	w.until("it was attached once more", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.again > 0
	})
	w.must(w.a.c.PowerOff(w.ctx, v.Ref))
	w.until("a VM that is off has nothing to tell", func() bool { m := w.member(); return m.Power == "off" && m.Unseen == "" })
	w.must(w.a.c.PowerOn(w.ctx, v.Ref))
	w.until("it is on, and its filter sends nothing", func() bool { return strings.Contains(w.member().Unseen, "sends no writes") })

	// The filter is gone from the hosts while the job is stopped.
	w.must(w.b.tell(api.VMJobStop, api.VMJobName{Job: "shop"}))
	w.until("the filter sees none while the job is stopped", func() bool { return w.seenDisks(src.UUID) == 0 && w.member().Unseen == "" })
	cl := w.inventory(w.a).Clusters[0].Name
	w.until("no disk uses the filter any more", func() bool {
		return w.a.refused(api.FilterChange, api.FilterRequest{Cluster: cl, Do: "uninstall", Filter: filter}) == nil
	})
	w.a.inTurn(func() {
		if st, _ := ask[api.FiltersReply](w.ctx, w.a, api.FilterStatus, api.FilterRequest{Cluster: cl}); len(st.Filters) > 0 {
			w.a.progress(api.FilterChange, api.FilterRequest{Cluster: cl, Do: "resolve", Filter: filter})
		}
	})
	w.must(w.b.tell(api.VMJobRun, api.VMJobName{Job: "shop"}))
	w.until("the reason why it cannot be attached is reported", func() bool { return strings.Contains(w.member().Unseen, "attach the I/O filter") })
}
