package vsphere_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/vms"
	"tidemark.dev/pkg/vsphere"
	"tidemark.dev/pkg/vsphere/vspheretest"
)

// rig is a place at a vCenter where the contract's VMs are made.
type rig struct {
	*testing.T
	ctx    context.Context
	c      *vsphere.Client
	prefix string
	// sim is the simulator; nil at a real vCenter.
	sim *vspheretest.Site

	dc, folder, pool, host, store vms.Ref
	storeName                     string
	nets                          [2]vms.Ref

	made  []vms.Ref
	files []string
}

// name is one that nothing else has.
func (r *rig) name(s string) string { return r.prefix + "-" + s }

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// is fails unless err is of the kind and says the text.
func (r *rig) is(err error, kind cdp.Kind, says string) {
	r.Helper()
	if !cdp.Is(err, kind) || !strings.Contains(err.Error(), says) {
		r.Fatalf("want %s with %q, got %s: %v", kind, says, cdp.KindOf(err), err)
	}
}

// calls is how often a method was called; always 0 at a real vCenter, which
// does not tell.
func (r *rig) calls(method string) int {
	if r.sim == nil {
		return 0
	}
	return r.sim.Calls(method)
}

func (r *rig) dial() *vsphere.Client {
	r.Helper()
	c, err := vsphere.Dial(r.ctx, vsphere.Config{URL: r.sim.URL(), Thumbprint: r.sim.Thumbprint(), User: r.sim.User(), Password: r.sim.Password()})
	r.must(err)
	r.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = c.Close(ctx)
	})
	return c
}

func newRig(t *testing.T, cfg vspheretest.Config) *rig {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	r := &rig{T: t, ctx: ctx, prefix: "tm", sim: vspheretest.NewSite(t, cfg)}
	r.c = r.dial()
	inv, err := r.c.Inventory(ctx)
	r.must(err)
	r.dc, r.pool, r.host = inv.Datacenters[0].Ref, inv.Clusters[0].Pool, inv.Hosts[0].Ref
	r.store, r.storeName = inv.Datastores[0].Ref, inv.Datastores[0].Name
	for _, f := range inv.Folders {
		if r.folder == "" || len(f.Path) < len(r.folder) {
			r.folder = f.Ref
		}
	}
	t.Cleanup(r.clean)
	n := 0
	for _, net := range inv.Networks {
		if n < 2 && (net.Kind == "standard" || net.Kind == "distributed" && !strings.Contains(net.Name, "Uplink")) {
			r.nets[n] = net.Ref
			n++
		}
	}
	if n < 2 {
		t.Fatalf("there must be two networks: %v", inv.Networks)
	}
	return r
}

func TestSnapshotsAndMachines(t *testing.T) {
	for name, test := range map[string]func(*rig){
		"MakeVM": testMakeVM, "Reshape": testReshape, "Disks": testDisks, "Plug": testPlug, "Destroy": testDestroy,
		"Power": testPower, "Label": testLabel, "Connect": testConnect, "Customize": testCustomize, "PlugTogether": testPlugTogether,
		"BrokenOff": testBrokenOff, "Locked": testLocked, "Snapshots": testSnapshots, "ChangedConflicts": testChangedConflicts,
		"Expiry": testExpiry, "Changed": testChanged,
	} {
		t.Run(name, func(t *testing.T) { test(newRig(t, vspheretest.Config{CBTMaxExtents: 3})) })
	}
}
