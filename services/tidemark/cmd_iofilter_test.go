package main

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

func TestIOFilters(t *testing.T) {
	d := newDesk(t)
	d.apply(0, twoSites)
	filter := inventory.Filter{ID: "TMK_1.0", Name: "tidemark", Version: "1.0", Bundle: "https://files/x.zip", Doing: "install",
		Hosts: []inventory.FilterHost{{Name: "esx1", State: "installed"}, {Name: "esx2", State: "pending", Issues: []string{"must be in maintenance mode"}}},
		Disks: []inventory.FilterDisk{{VM: "web01", Disk: "scsi0:0"}}}
	f := d.serve("prod", subjects.VCenter, map[string]func([]byte) (any, error){
		api.VCenterInventory: says(inventory.Inventory{Clusters: []inventory.Cluster{{Place: inventory.Place{Name: "C1", Path: "/DC0/host/C1"}}}}),
		api.FilterStatus:     says(api.FiltersReply{Cluster: "C1", Filters: []inventory.Filter{filter}}),
		api.FilterChange:     working(api.Progress{Text: "installing on esx1", Moved: 1, Total: 2}, api.Progress{Done: true}),
	})
	out, errs := d.do(exitConflict, "iofilter", "install", "--site", "prod", "--cluster", "C1", "--bundle", "https://me:secret@files/x.zip")
	wants(t, errs, "not complete: 1 host waits for maintenance mode: esx2", "tidemark iofilter resolve --site prod --cluster C1 --filter TMK_1.0")
	lacks(t, out, "done")
	wants(t, errs, "installing on esx1", "50%")
	asked := f.saw()
	wants(t, asked, `"do":"install","bundle":"https://me:secret@files/x.zip","id":"f-`)
	ids := map[string]bool{}
	for line := range strings.Lines(asked) {
		if strings.HasPrefix(line, api.FilterChange) {
			ids[line] = true
		}
	}
	if len(ids) != 1 {
		t.Error("asked again with another request:", asked)
	}
	out, errs = d.do(0, "iofilter", "status")
	wants(t, out, "esx1", "esx2", "installed on 1 of 2 hosts, install pending on 1", "install pending", "must be in maintenance mode", "used by 1 disk", "tidemark iofilter resolve")
	wants(t, errs, "site dr:")
	out, _ = d.do(0, "iofilter", "issues", "--site", "prod", "--cluster", "C1")
	wants(t, out, "esx2")
	lacks(t, out, "esx1 ")
	out, _ = d.do(0, "iofilter", "status", "--site", "prod", "-o", "json")
	if got := decode[[]siteFilters](t, out); len(got) != 1 || got[0].Filters[0].ID != "TMK_1.0" {
		t.Error(out)
	}
	for _, do := range []string{"uninstall", "resolve"} {
		d.do(exitUsage, "iofilter", do, "--site", "prod", "--cluster", "C1")
		_, errs = d.do(exitConflict, "iofilter", do, "--site", "prod", "--cluster", "C1", "--filter", "TMK_1.0")
		wants(t, errs, "not complete")
		f.saw()
		_, errs = d.do(exitNotFound, "iofilter", do, "--site", "prod", "--cluster", "C1", "--filter", "nosuch")
		wants(t, errs, "nosuch", "the cluster has TMK_1.0")
		lacks(t, f.saw(), api.FilterChange)
	}
	// An uninstall waits for both hosts; a third has another problem.
	filter.Doing = "uninstall"
	filter.Hosts = []inventory.FilterHost{{Name: "esx1", State: "pending", Issues: []string{"must be in maintenance mode"}}, {Name: "esx2", State: "missing"},
		{Name: "esx3", State: "failed", Issues: []string{"the host is not connected"}}}
	status := api.FiltersReply{Cluster: "C1", Filters: []inventory.Filter{filter}}
	f.set(api.FilterStatus, says(status))
	_, errs = d.do(exitConflict, "iofilter", "uninstall", "--site", "prod", "--cluster", "C1", "--filter", "TMK_1.0")
	wants(t, errs, "1 host waits for maintenance mode: esx1; not done on 1 host: esx3 (the host is not connected)")
	out, _ = d.do(0, "iofilter", "status", "--site", "prod")
	wants(t, out, "uninstall pending on 2 of 3 hosts", "uninstall failed")
	status.Filters[0].Doing = "install"
	status.Filters[0].Hosts = []inventory.FilterHost{{Name: "esx1", State: "installed"}, {Name: "esx2", State: "installed"}}
	f.set(api.FilterStatus, says(status))
	out, _ = d.do(0, "iofilter", "resolve", "--site", "prod", "--cluster", "C1", "--filter", "TMK_1.0")
	wants(t, out, "resolve of C1 at site prod done", "TMK_1.0: installed on 2 hosts")
	out, errs = d.do(exitConflict, "iofilter", "install", "--site", "prod", "--cluster", "C1", "--bundle", "https://files/unheard-of.zip")
	wants(t, errs, "lists no filter of it")
	lacks(t, out, "done")
	d.do(exitUsage, "iofilter", "install", "--site", "prod", "--cluster", "C1", "--bundle", "/tmp/x.zip")
	d.do(exitUsage, "iofilter", "install", "--site", "prod", "--bundle", "https://x/y")
	f.set(api.FilterChange, fails(cdp.Errorf(cdp.Conflict, "uninstall", "TMK_1.0", "1 disk uses it: web01 scsi0:0")))
	_, errs = d.do(exitConflict, "iofilter", "uninstall", "--site", "prod", "--cluster", "C1", "--filter", "TMK_1.0")
	wants(t, errs, "web01 scsi0:0")
	f.saw()
	f.set(api.FilterStatus, says(api.FiltersReply{Cluster: "C1", Cannot: "the cluster is managed by an image (vLCM)"}))
	_, errs = d.do(exitConflict, "iofilter", "install", "--site", "prod", "--cluster", "C1", "--bundle", "https://x/y.zip")
	wants(t, errs, "cannot be managed here: the cluster is managed by an image")
	lacks(t, f.saw(), api.FilterChange)
}
