package vsphere_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/adapter/vsphere"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// env is the vCenter that a contract's test runs at.
type env struct {
	*testing.T
	ctx context.Context
	cfg vsphere.Config
	c   *vsphere.Client
	// sim is the simulator; nil at a real vCenter.
	sim *vcsim.Site
	// prefix is before the names of what is made.
	prefix string

	inv     inventory.Inventory
	cluster inventory.Cluster
	host    inventory.Host
	store   inventory.Datastore
	network inventory.Network
	dc      inventory.Place
	folder  inventory.Place
}

// target is a new simulator, or the real vCenter that the environment names; see
// the package's comment.
func target(t *testing.T, sim vcsim.Config) *env {
	t.Helper()
	return at(t, os.Getenv("TIDEMARK_VCENTER_URL"), sim)
}

// at is the vCenter at a URL, or a simulator.
func at(t *testing.T, url string, sim vcsim.Config) *env {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	e := &env{T: t, ctx: ctx, prefix: "tm-" + time.Now().UTC().Format("150405.000")}
	get := func(name string) string { return os.Getenv("TIDEMARK_VCENTER_" + name) }
	if url != "" {
		password, err := os.ReadFile(get("PASSWORD_FILE"))
		e.must(err)
		e.cfg = vsphere.Config{URL: url, Thumbprint: get("THUMBPRINT"), CAFile: get("CA"), User: get("USER"), Password: strings.TrimSpace(string(password))}
	} else {
		e.sim = vcsim.NewSite(t, sim)
		e.cfg = simConfig(e.sim)
	}
	e.c = e.dial()
	var err error
	e.inv, err = e.c.Inventory(ctx)
	e.must(err)
	e.host = pick(e, "HOST", e.inv.Hosts, func(h inventory.Host) string { return h.Name })
	e.cluster = e.inv.Clusters[slices.IndexFunc(e.inv.Clusters, func(c inventory.Cluster) bool { return c.Ref == e.host.Cluster })]
	e.store = pick(e, "DATASTORE", slices.DeleteFunc(slices.Clone(e.inv.Datastores), func(d inventory.Datastore) bool { return !slices.Contains(d.Hosts, e.host.Ref) }),
		func(d inventory.Datastore) string { return d.Name })
	e.network = pick(e, "NETWORK", e.inv.Networks, func(n inventory.Network) string { return n.Name })
	e.dc = e.inv.Datacenters[slices.IndexFunc(e.inv.Datacenters, func(p inventory.Place) bool { return strings.HasPrefix(e.host.Path, p.Path+"/") })]
	e.folder = e.inv.Folders[slices.IndexFunc(e.inv.Folders, func(p inventory.Place) bool { return p.Path == e.dc.Path+"/vm" })]
	return e
}

// pick is the thing that the environment names, or the first.
func pick[T any](e *env, variable string, from []T, name func(T) string) T {
	e.Helper()
	want := os.Getenv("TIDEMARK_VCENTER_" + variable)
	for _, x := range from {
		if want == "" || name(x) == want {
			return x
		}
	}
	e.Fatalf("there is no %s %q among %d", variable, want, len(from))
	panic("unreachable")
}

func simConfig(s *vcsim.Site) vsphere.Config {
	return vsphere.Config{URL: s.URL(), Thumbprint: s.Thumbprint(), User: s.User(), Password: s.Password()}
}

// dial is a client of the target, closed at the test's end.
func (e *env) dial() *vsphere.Client {
	e.Helper()
	c, err := vsphere.Dial(e.ctx, e.cfg)
	e.must(err)
	e.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			e.Errorf("close: %v", err)
		}
	})
	return c
}

func (e *env) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatalf("%v (%s; hint: %s)", err, cdp.KindOf(err), cdp.HintOf(err))
	}
}

// is fails unless err is of the kind and says all of the texts, itself or in its
// hint.
func (e *env) is(err error, kind cdp.Kind, says ...string) {
	e.Helper()
	wantError(e.T, err, kind, says...)
}

func wantError(t *testing.T, err error, kind cdp.Kind, says ...string) {
	t.Helper()
	if !cdp.Is(err, kind) {
		t.Fatalf("want %s, got %s: %v", kind, cdp.KindOf(err), err)
	}
	all := err.Error() + "\n" + cdp.HintOf(err)
	for _, s := range says {
		if !strings.Contains(all, s) {
			t.Fatalf("want %q in: %s", s, all)
		}
	}
}

// vm makes a small VM without disks, destroyed at the test's end.
func (e *env) vm(name string) inventory.Ref {
	e.Helper()
	ref, err := e.c.MakeVM(e.ctx, inventory.Make{
		Name: e.prefix + "-" + name, Folder: e.folder.Ref, Pool: e.cluster.Pool, Host: e.host.Ref, Datastore: e.store.Ref,
		Hardware: inventory.Hardware{Version: "vmx-15", GuestID: "otherLinux64Guest", CPUs: 1, MemoryMB: 64, Firmware: "bios"},
	})
	e.must(err)
	e.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := e.c.Destroy(ctx, ref, false); err != nil && !cdp.Is(err, cdp.NotFound) {
			e.Errorf("clean up: %v", err)
		}
	})
	return ref
}

// contract are the tests that hold at every vCenter.
var contract = map[string]func(*env){
	"Inventory":  contractInventory,
	"Privileges": contractPrivileges,
	"Clocks":     contractClocks,
	"Watch":      contractWatch,
	"Import":     contractImport,
	"ImportOwn":  contractImportOwn,
	"Filters":    contractFilters,
	"Guest":      contractGuest,
}

func TestContract(t *testing.T) {
	for name, test := range contract {
		t.Run(name, func(t *testing.T) { test(target(t, vcsim.Config{})) })
	}
}
