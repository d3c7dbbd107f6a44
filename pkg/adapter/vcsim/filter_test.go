package vcsim_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/pbm"
	pbmtypes "github.com/vmware/govmomi/pbm/types"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
	"tidemark.dev/pkg/adapter/vcsim"
)

type filters struct {
	*client
	cluster types.ManagedObjectReference
	bundles *httptest.Server
	fetched int
}

func newFilters(c *client) *filters {
	f := &filters{client: c}
	cl, err := c.find.DefaultClusterComputeResource(c.ctx)
	c.ok(err)
	f.cluster = cl.Reference()
	f.bundles = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.fetched++
		switch r.URL.Path {
		case "/tap-1.zip":
			_, _ = w.Write(vcsim.Bundle("TMK", "tap", "1.0.0"))
		case "/tap-2.zip":
			_, _ = w.Write(vcsim.Bundle("TMK", "tap", "2.0.0"))
		case "/broken.zip":
			_, _ = w.Write([]byte("not a zip"))
		default:
			http.NotFound(w, r)
		}
	}))
	c.t.Cleanup(f.bundles.Close)
	return f
}

func (f *filters) task(ref types.ManagedObjectReference, err error) error {
	f.t.Helper()
	f.ok(err)
	return object.NewTask(f.Client.Client, ref).Wait(f.ctx)
}

func (f *filters) install(path string) error {
	f.t.Helper()
	r, err := methods.InstallIoFilter_Task(f.ctx, f.Client, &types.InstallIoFilter_Task{This: *f.ServiceContent.IoFilterManager, VibUrl: f.bundles.URL + path, CompRes: f.cluster})
	f.ok(err)
	return f.task(r.Returnval, nil)
}

func (f *filters) uninstall(id string) error {
	f.t.Helper()
	r, err := methods.UninstallIoFilter_Task(f.ctx, f.Client, &types.UninstallIoFilter_Task{This: *f.ServiceContent.IoFilterManager, FilterId: id, CompRes: f.cluster})
	f.ok(err)
	return f.task(r.Returnval, nil)
}

func (f *filters) resolve(id string) error {
	f.t.Helper()
	r, err := methods.ResolveInstallationErrorsOnCluster_Task(f.ctx, f.Client, &types.ResolveInstallationErrorsOnCluster_Task{This: *f.ServiceContent.IoFilterManager, FilterId: id, Cluster: f.cluster})
	f.ok(err)
	return f.task(r.Returnval, nil)
}

func (f *filters) issues(id string) int {
	f.t.Helper()
	r, err := methods.QueryIoFilterIssues(f.ctx, f.Client, &types.QueryIoFilterIssues{This: *f.ServiceContent.IoFilterManager, FilterId: id, CompRes: f.cluster})
	f.ok(err)
	return len(r.Returnval.HostIssue)
}

func (f *filters) maintenance(host string, on bool) {
	f.t.Helper()
	h, err := f.find.HostSystem(f.ctx, host)
	f.ok(err)
	if on {
		f.must(h.EnterMaintenanceMode(f.ctx, 0, false, nil))
	} else {
		f.must(h.ExitMaintenanceMode(f.ctx, 0))
	}
}

func TestFilterStates(t *testing.T) {
	c := site(t, vcsim.Config{})
	f := newFilters(c)
	for _, bad := range []string{"/none.zip", "/broken.zip", "/tap-1.vib"} {
		if err := f.install(bad); !fault.Is(err, &types.InvalidArgument{}) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	c.ok(f.install("/tap-1.zip"))
	const id = "TMK_bootbank_tap_1.0.0"
	if n := f.issues(id); n != 2 {
		t.Errorf("%d hosts out of maintenance mode have issues", n)
	}
	vm, _ := c.add(vcsim.VMSpec{Name: "x", Host: "vc-esx1", Disks: []vcsim.DiskSpec{{Size: mib}}, On: true})
	f.maintenance("vc-esx1", true) // moves the VM away
	if h := c.props(vm, "runtime.host").Runtime.Host; h == nil || *h == (types.ManagedObjectReference{}) {
		t.Error("no host")
	}
	c.s.FilterTrouble("vc-esx1", "no space left on the boot bank")
	c.ok(f.resolve(id))
	if n := f.issues(id); n != 2 {
		t.Errorf("with trouble: %d", n)
	}
	c.s.FilterTrouble("vc-esx1", "")
	c.ok(f.resolve(id))
	if n := f.issues(id); n != 1 {
		t.Errorf("one host resolved: %d", n)
	}
	f.maintenance("vc-esx1", false)
	f.maintenance("vc-esx2", true)
	c.ok(f.resolve(id))
	f.maintenance("vc-esx2", false)
	if n := f.issues(id); n != 0 {
		t.Errorf("all resolved: %d", n)
	}
	up, err := methods.UpgradeIoFilter_Task(c.ctx, c.Client, &types.UpgradeIoFilter_Task{This: *c.ServiceContent.IoFilterManager, FilterId: id, VibUrl: f.bundles.URL + "/tap-2.zip", CompRes: f.cluster})
	c.ok(err)
	c.ok(f.task(up.Returnval, nil))
	info, err := methods.QueryIoFilterInfo(c.ctx, c.Client, &types.QueryIoFilterInfo{This: *c.ServiceContent.IoFilterManager, CompRes: f.cluster})
	c.ok(err)
	if len(info.Returnval) != 1 || info.Returnval[0].Version != "2.0.0" || info.Returnval[0].OpType != "upgrade" || f.issues(id) != 2 {
		t.Errorf("%+v, %d issues", info.Returnval, f.issues(id))
	}
	c.ok(c.s.VLCM("", true))
	var cl mo.ClusterComputeResource
	c.ok(c.RetrieveOne(c.ctx, f.cluster, []string{"lifecycleManaged"}, &cl))
	if cl.LifecycleManaged == nil || !*cl.LifecycleManaged {
		t.Error("the cluster is not shown as image-managed")
	}
	if err := f.uninstall(id); !fault.Is(err, &types.NotSupported{}) {
		t.Errorf("image-managed cluster: %v", err)
	}
}

func TestFilterOnDisks(t *testing.T) {
	var mu sync.Mutex
	var log []string
	c := site(t, vcsim.Config{OnFilter: func(ev vcsim.PowerEvent, key int32, filter string, params map[string]string, on bool) {
		mu.Lock()
		defer mu.Unlock()
		if on {
			log = append(log, "+"+filter+" "+params["socket"])
		} else {
			log = append(log, "-"+filter)
		}
	}})
	f := newFilters(c)
	vm, _ := c.add(vcsim.VMSpec{Name: "x", Disks: []vcsim.DiskSpec{{Size: mib}}})
	const id = "TMK_bootbank_tap_1.0.0"
	edit := func(fs ...types.BaseVirtualMachineBaseIndependentFilterSpec) error {
		task, err := vm.Reconfigure(c.ctx, types.VirtualMachineConfigSpec{DeviceChange: []types.BaseVirtualDeviceConfigSpec{&types.VirtualDeviceConfigSpec{
			Operation: types.VirtualDeviceConfigSpecOperationEdit, Device: c.disks(vm)[0], FilterSpec: fs,
		}}})
		c.ok(err)
		return task.Wait(c.ctx)
	}
	spec := &types.VirtualMachineIndependentFilterSpec{FilterName: "tap", FilterCapabilities: []types.KeyValue{{Key: "socket", Value: "/run/x"}}}
	if err := edit(spec); !fault.Is(err, &types.InvalidDeviceSpec{}) {
		t.Errorf("a filter that is not installed: %v", err)
	}
	for _, h := range c.s.HostNames() {
		f.maintenance(h, true)
	}
	c.ok(f.install("/tap-1.zip"))
	for _, h := range c.s.HostNames() {
		f.maintenance(h, false)
	}
	c.ok(edit(spec))
	if got := c.disks(vm)[0].Iofilter; !slices.Equal(got, []string{id}) {
		t.Errorf("iofilter: %v", got)
	}
	if err := f.uninstall(id); !fault.Is(err, &types.FilterInUse{}) {
		t.Errorf("in use: %v", err)
	}
	c.must(vm.PowerOn(c.ctx))
	snap := c.snapshot(vm, "keeps the filter")
	_ = snap
	if got := c.disks(vm)[0].Iofilter; !slices.Equal(got, []string{id}) {
		t.Errorf("after a snapshot: %v", got)
	}
	c.ok(edit(&types.VirtualMachineEmptyIndependentFilterSpec{}))
	if got := c.disks(vm)[0].Iofilter; len(got) != 0 {
		t.Errorf("detached: %v", got)
	}
	// By a storage policy.
	c.s.Policy("replicated", id)
	pc, err := pbm.NewClient(c.ctx, c.Client.Client)
	c.ok(err)
	ids, err := pc.QueryProfile(c.ctx, pbmtypes.PbmProfileResourceType{ResourceType: "STORAGE"}, "REQUIREMENT")
	c.ok(err)
	got, err := pc.RetrieveContent(c.ctx, ids)
	c.ok(err)
	if len(got) != 1 || got[0].GetPbmProfile().Name != "replicated" {
		t.Errorf("policies: %v", got)
	}
	c.must(vm.Reconfigure(c.ctx, types.VirtualMachineConfigSpec{DeviceChange: []types.BaseVirtualDeviceConfigSpec{&types.VirtualDeviceConfigSpec{
		Operation: types.VirtualDeviceConfigSpecOperationEdit, Device: c.disks(vm)[0],
		Profile: []types.BaseVirtualMachineProfileSpec{&types.VirtualMachineDefinedProfileSpec{ProfileId: "replicated"}},
	}}}))
	used, err := methods.QueryDisksUsingFilter(c.ctx, c.Client, &types.QueryDisksUsingFilter{This: *c.ServiceContent.IoFilterManager, FilterId: id, CompRes: f.cluster})
	c.ok(err)
	if len(used.Returnval) != 1 {
		t.Errorf("%+v", used.Returnval)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"+" + id + " /run/x", "+" + id + " /run/x", "-" + id, "+" + id + " "}; !slices.Equal(log, want) {
		t.Errorf("hook: %q, want %q", log, want)
	}
}
