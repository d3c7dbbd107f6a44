package vsphere_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/contract/inventory"
)

func contractClocks(e *env) {
	began := time.Now()
	clocks, err := e.c.Clocks(e.ctx)
	took := time.Since(began)
	e.must(err)
	if len(clocks) == 0 {
		e.Fatal("no host was measured")
	}
	for _, k := range clocks {
		if e.sim == nil && e.inv.Hosts[slices.IndexFunc(e.inv.Hosts, func(h inventory.Host) bool { return h.Ref == k.Host })].State != "connected" {
			continue
		}
		if k.Error != "" || k.Min > k.Max || k.Max-k.Min > took+time.Second {
			e.Errorf("%+v", k)
		}
	}
}

func TestClocksWithSkew(t *testing.T) {
	e := target(t, vcsim.Config{Hosts: 4})
	names := e.sim.HostNames()
	skews := map[string]time.Duration{names[0]: 0, names[1]: 3 * time.Second, names[2]: -90 * time.Minute}
	for n, d := range skews {
		e.must(e.sim.Skew(n, d))
	}
	e.must(e.sim.FailHost(names[3]))
	// A slow answer widens the interval, but never makes it wrong.
	e.sim.Delay("QueryDateTime", 100*time.Millisecond, 2)
	began := time.Now()
	clocks, err := e.c.Clocks(e.ctx)
	took := time.Since(began)
	e.must(err)
	if len(clocks) != 4 {
		t.Fatalf("told of %d hosts: %+v", len(clocks), clocks)
	}
	for _, k := range clocks {
		if k.Name == names[3] { // it is not left out, for nobody would miss it
			if !strings.Contains(k.Error, "notResponding") {
				t.Errorf("the lost host: %+v", k)
			}
			continue
		}
		want := skews[k.Name]
		if k.Error != "" || k.Min > want || k.Max < want || k.Max-k.Min > took {
			t.Errorf("%s is ahead by %v, measured %v to %v (%s)", k.Name, want, k.Min, k.Max, k.Error)
		}
	}
}

func TestClockThatDoesNotTell(t *testing.T) {
	e := target(t, vcsim.Config{Hosts: 2})
	e.sim.Fault("QueryDateTime", &types.HostConfigFault{}, 1)
	clocks, err := e.c.Clocks(e.ctx)
	e.must(err)
	failed := slices.DeleteFunc(clocks, func(k inventory.Clock) bool { return k.Error == "" })
	if len(failed) != 1 {
		t.Errorf("want one that failed: %+v", failed)
	}
}
