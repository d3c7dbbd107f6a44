package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/health"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// A site of 5,000 VMs with four disks each: what lists all of them, lists all of them.
func TestBigSite(t *testing.T) {
	const vms = 5000
	d := newDesk(t)
	var names []string
	state := api.VMJobState{Job: "shop", Running: true}
	journal, capture := api.StatusReply{}, api.CaptureStatusReply{}
	now := time.Now()
	for i := range vms {
		n := fmt.Sprintf("shop-application-server-%04d", i)
		names = append(names, n)
		state.Members = append(state.Members, api.VMMember{Group: cdp.GroupID(n), VM: n[5:], Path: "/Datacenter-East/vm/production/shop/" + n[5:],
			UUID: fmt.Sprintf("5029c1a4-7d2b-%04x-9f3e-0c1d2e3f4a5b", i), Replica: n[5:] + "-replica", State: "ready"})
		g, c := api.GroupStatus{Group: cdp.GroupID(n), State: "receiving", Mode: "rollback", Received: now, Sealed: now, Consistent: true,
			Newest: &cdp.Point{Time: now}, Oldest: &cdp.Point{Time: now}}, api.CaptureGroup{Group: cdp.GroupID(n), State: "replicating"}
		for k := range 4 {
			disk := cdp.Disk{ID: cdp.DiskID(k), Name: fmt.Sprintf("scsi0-%d", k), Size: 40 << 30}
			g.Disks, c.Disks = append(g.Disks, disk), append(c.Disks, disk)
		}
		journal.Groups, capture.Groups = append(journal.Groups, g), append(capture.Groups, c)
	}
	d.serve("dr", subjects.VCenter, map[string]func([]byte) (any, error){api.VMJobCheck: says(api.JobCheckReply{VMs: names}), api.VMJobStatus: says(api.VMJobsReply{Jobs: []api.VMJobState{state}})})
	d.serve("dr", subjects.Journal, map[string]func([]byte) (any, error){api.JournalStatus: says(journal)})
	d.serve("prod", subjects.Capture, map[string]func([]byte) (any, error){api.CaptureStatus: says(capture)})
	d.apply(0, shopJob)
	d.put("shop", names...)

	out, errs := d.do(0, "status", "-o", "json")
	all := decode[[]health.Job](t, out)
	if len(all) != vms+1 || errs != "" {
		t.Fatalf("status tells of %d jobs; %s", len(all), errs)
	}
	for _, h := range all {
		if strings.Contains(string(h.State), "unknown") || len(h.VMs) != vms && h.VMs != nil || h.VMs == nil && (h.Journal == nil || h.Capture == nil) {
			t.Fatalf("%+v", h)
		}
	}
	out, _ = d.do(0, "job", "status", "shop")
	wants(t, out, names[0], names[vms-1])
	if n := strings.Count(out, "-replica"); n != vms {
		t.Errorf("job status tells of %d VMs", n)
	}
}
