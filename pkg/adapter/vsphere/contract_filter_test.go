package vsphere_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

func contractFilters(e *env) {
	if !strings.HasPrefix(string(e.cluster.Ref), "ClusterComputeResource:") {
		_, err := e.c.Filters(e.ctx, e.cluster.Ref)
		e.is(err, cdp.Conflict)
		return
	}
	filters, err := e.c.Filters(e.ctx, e.cluster.Ref)
	e.must(err)
	for _, f := range filters {
		if f.ID == "" || len(f.Hosts) != len(e.cluster.Hosts) {
			e.Errorf("%+v", f)
		}
	}
}

// bundles serves bundles by name.
func bundles(t *testing.T, has map[string][]byte) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := has[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(b)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/"
}

// maintain brings hosts into maintenance mode, or out of it.
func (e *env) maintain(on bool, hosts ...inventory.Ref) {
	e.Helper()
	c, err := e.sim.Client(e.ctx)
	e.must(err)
	defer func() { _ = c.Logout(e.ctx) }()
	for _, h := range hosts {
		var ref types.ManagedObjectReference
		ref.FromString(string(h))
		host := object.NewHostSystem(c.Client, ref)
		do := func() (*object.Task, error) { return host.ExitMaintenanceMode(e.ctx, 0) }
		if on {
			do = func() (*object.Task, error) { return host.EnterMaintenanceMode(e.ctx, 0, true, nil) }
		}
		task, err := do()
		e.must(err)
		e.must(task.Wait(e.ctx))
	}
}

func (e *env) filter() inventory.Filter {
	e.Helper()
	all, err := e.c.Filters(e.ctx, e.cluster.Ref)
	e.must(err)
	if len(all) != 1 {
		e.Fatalf("there are %d filters", len(all))
	}
	return all[0]
}

func states(f inventory.Filter) string {
	var s []string
	for _, h := range f.Hosts {
		s = append(s, string(h.State))
	}
	return strings.Join(s, " ")
}

func TestFilterLife(t *testing.T) {
	e := target(t, vcsim.Config{Hosts: 2})
	url := bundles(t, map[string][]byte{
		"one.zip": vcsim.Bundle("tidemark", "tidemark", "1.0.0"),
		"two.zip": vcsim.Bundle("tidemark", "tidemark", "2.0.0"),
	})
	h := e.cluster.Hosts
	e.maintain(true, h[0])
	e.must(e.c.InstallFilter(e.ctx, e.cluster.Ref, url+"one.zip"))
	f := e.filter()
	if states(f) != "installed pending" || len(f.Hosts[1].Issues) != 1 || !strings.Contains(f.Hosts[1].Issues[0], "maintenance mode") {
		t.Fatalf("partly installed: %+v", f)
	}
	if !f.Hosts[0].Maintenance || f.Version != "1.0.0" || f.Vendor != "tidemark" {
		t.Errorf("%+v", f)
	}
	e.maintain(false, h[0])
	e.sim.FilterTrouble(f.Hosts[1].Name, "the VIB is not signed")
	e.maintain(true, h[1])
	e.must(e.c.ResolveFilter(e.ctx, e.cluster.Ref, f.ID))
	if f = e.filter(); states(f) != "installed failed" || !strings.Contains(f.Hosts[1].Issues[0], "not signed") {
		t.Fatalf("failed on one: %+v", f)
	}
	e.sim.FilterTrouble(f.Hosts[1].Name, "")
	// Installing the same again puts right what failed.
	e.must(e.c.InstallFilter(e.ctx, e.cluster.Ref, url+"one.zip"))
	if f = e.filter(); states(f) != "installed installed" {
		t.Fatalf("installed: %+v", f)
	}
	n := e.sim.Calls("InstallIoFilter_Task")
	e.must(e.c.InstallFilter(e.ctx, e.cluster.Ref, url+"one.zip"))
	if e.sim.Calls("InstallIoFilter_Task") != n {
		t.Error("it was installed twice")
	}
	e.maintain(true, h...)
	e.must(e.c.UpgradeFilter(e.ctx, e.cluster.Ref, f.ID, url+"two.zip"))
	if f = e.filter(); f.Version != "2.0.0" || states(f) != "installed installed" {
		t.Fatalf("upgraded: %+v", f)
	}
	e.is(e.c.UpgradeFilter(e.ctx, e.cluster.Ref, "other", url+"three.zip"), cdp.NotFound)
	e.is(e.c.UpgradeFilter(e.ctx, e.cluster.Ref, f.ID, url+"three.zip"), cdp.Invalid, "the bundle "+url+"three.zip")
	user := strings.Replace(url, "http://", "http://me:secret@", 1)
	err := e.c.InstallFilter(e.ctx, e.cluster.Ref, user+"three.zip")
	e.is(err, cdp.Invalid, "the bundle "+url+"three.zip", "reachable from them", "offline bundle")
	if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "*types.") {
		t.Error(err)
	}
	e.must(e.c.UninstallFilter(e.ctx, e.cluster.Ref, f.ID))
	e.must(e.c.UninstallFilter(e.ctx, e.cluster.Ref, f.ID))
	if all, err := e.c.Filters(e.ctx, e.cluster.Ref); err != nil || len(all) != 0 {
		t.Errorf("uninstalled: %+v %v", all, err)
	}
}

func TestFilterOnDisks(t *testing.T) {
	type told struct {
		key    int32
		params map[string]string
		on     bool
	}
	events := make(chan told, 16)
	e := target(t, vcsim.Config{Hosts: 1, OnFilter: func(_ vcsim.PowerEvent, key int32, _ string, params map[string]string, on bool) {
		events <- told{key, params, on}
	}})
	url := bundles(t, map[string][]byte{"one.zip": vcsim.Bundle("tidemark", "tidemark", "1.0.0")})
	made, err := e.sim.AddVM(vcsim.VMSpec{Name: "web01", Disks: []vcsim.DiskSpec{{Size: 1 << 20}, {Size: 1 << 20}}})
	e.must(err)
	vm := inventory.Ref(made.Ref.String())
	a, b := made.Disks[0].Key, made.Disks[1].Key
	e.is(e.c.AttachFilter(e.ctx, vm, "tidemark", "", map[int32]map[string]string{a: nil}), cdp.Conflict, "VM web01: the filter tidemark is not installed on its host", "tidemark iofilter status")
	e.maintain(true, e.cluster.Hosts...)
	e.must(e.c.InstallFilter(e.ctx, e.cluster.Ref, url+"one.zip"))
	e.maintain(false, e.cluster.Hosts...)
	f := e.filter()

	e.must(e.c.AttachFilter(e.ctx, vm, "tidemark", "", map[int32]map[string]string{a: {"group": "g1"}}))
	if got := <-events; got.key != a || !got.on || got.params["group"] != "g1" {
		t.Errorf("told %+v", got)
	}
	n := e.sim.Calls("ReconfigVM_Task")
	e.must(e.c.AttachFilter(e.ctx, vm, "tidemark", "", map[int32]map[string]string{a: {"group": "g1"}}))
	if e.sim.Calls("ReconfigVM_Task") != n {
		t.Error("it was attached twice")
	}
	e.sim.Policy("protected", f.ID)
	e.must(e.c.AttachFilter(e.ctx, vm, "tidemark", "protected", map[int32]map[string]string{a: nil, b: nil}))
	if got := <-events; got.key != b || !got.on {
		t.Errorf("told %+v", got)
	}
	e.is(e.c.AttachFilter(e.ctx, vm, "tidemark", "unheard of", map[int32]map[string]string{a: nil}), cdp.NotFound, "policy")
	e.is(e.c.AttachFilter(e.ctx, vm, "tidemark", "", map[int32]map[string]string{999: nil}), cdp.NotFound)
	if f = e.filter(); len(f.Disks) != 2 || f.Disks[0].VM != "web01" || f.Disks[0].Disk == "" {
		t.Errorf("the disks are %+v", f.Disks)
	}
	e.is(e.c.UninstallFilter(e.ctx, e.cluster.Ref, f.ID), cdp.Conflict, "web01 ([", ".vmdk)", "2 disks")

	e.must(e.c.DetachFilter(e.ctx, vm, "tidemark", []int32{a, b, 999}))
	e.must(e.c.DetachFilter(e.ctx, vm, "tidemark", []int32{a, b}))
	for range 2 {
		if got := <-events; got.on {
			t.Errorf("told %+v", got)
		}
	}
	if f = e.filter(); len(f.Disks) != 0 {
		t.Errorf("the disks are %+v", f.Disks)
	}
}

func TestFilterCannot(t *testing.T) {
	e := target(t, vcsim.Config{Hosts: 2})
	e.must(e.sim.VLCM("", true))
	e.is(e.c.InstallFilter(e.ctx, e.cluster.Ref, "http://127.0.0.1/a.zip"), cdp.Conflict, "image", "baselines")
	inv, err := e.c.Inventory(e.ctx)
	e.must(err)
	if c := inv.Clusters[0]; !c.ImageManaged || !c.DRS {
		t.Errorf("an image and DRS manage the cluster: %+v", c)
	}
	e.must(e.sim.VLCM("", false))
	names := e.sim.HostNames()
	e.must(e.sim.HostVersion(names[1], "7.0.3"))
	e.is(e.c.InstallFilter(e.ctx, e.cluster.Ref, "http://127.0.0.1/a.zip"), cdp.Conflict, "different versions", names[1])
	e.must(e.sim.HostVersion(names[1], "6.0.0"))
	e.is(e.c.InstallFilter(e.ctx, e.cluster.Ref, "http://127.0.0.1/a.zip"), cdp.Conflict, "older than", names[1])
	e.is(e.c.InstallFilter(e.ctx, e.host.Ref, "http://127.0.0.1/a.zip"), cdp.Conflict, "cluster")
	e.is(e.c.InstallFilter(e.ctx, "ClusterComputeResource:none", "http://127.0.0.1/a.zip"), cdp.NotFound)
}
