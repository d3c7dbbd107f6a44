package vsphere_test

import (
	"os"
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/contract/inventory"
)

// rig is an env with what is made there: VMs, and disks beside them. A real
// vCenter needs two networks, the second as TIDEMARK_VCENTER_NETWORK2.
type rig struct {
	*env
	nets  [2]inventory.Ref
	made  []inventory.Ref
	files []string
}

func newRig(t *testing.T, url string, sim vcsim.Config) *rig {
	// Few extents in an answer, so that changed areas come in parts.
	sim.CBTMaxExtents = 3
	r := &rig{env: at(t, url, sim)}
	t.Cleanup(r.clean)
	var others []inventory.Network
	for _, n := range r.inv.Networks {
		if n.Ref != r.network.Ref && !strings.Contains(n.Name, "Uplink") {
			others = append(others, n)
		}
	}
	second := pick(r.env, "NETWORK2", others, func(n inventory.Network) string { return n.Name })
	r.nets = [2]inventory.Ref{r.network.Ref, second.Ref}
	return r
}

// name is one that nothing else has.
func (r *rig) name(s string) string { return r.prefix + "-" + s }

// calls is how often a method was called; always 0 at a real vCenter, which
// does not tell.
func (r *rig) calls(method string) int {
	if r.sim == nil {
		return 0
	}
	return r.sim.Calls(method)
}

// contractMachines holds at every vCenter.
var contractMachines = map[string]func(*rig){
	"MakeVM": testMakeVM, "Reshape": testReshape, "Disks": testDisks, "Plug": testPlug, "Destroy": testDestroy,
	"Power": testPower, "Label": testLabel, "Connect": testConnect, "Customize": testCustomize,
	"PlugTogether": testPlugTogether, "BrokenOff": testBrokenOff, "Locked": testLocked,
	"Reading": testReading, "Snapshots": testSnapshots, "ChangedConflicts": testChangedConflicts,
}

func TestMachinesContract(t *testing.T) {
	machines(t, os.Getenv("TIDEMARK_VCENTER_URL"), vcsim.Config{})
}

// These manipulate the guest or the vCenter's sessions.
func TestChangedIsAllThatChanged(t *testing.T) { simulated(t, testChanged) }
func TestSessionsEndDuringTasks(t *testing.T)  { simulated(t, testExpiry) }
func TestALateCallFindsNothing(t *testing.T)   { simulated(t, testLateUnplug) }

// A host without a vCenter does the same, except for what it cannot forbid.
func TestMachinesAtAHost(t *testing.T) {
	machines(t, "", vcsim.Config{ESX: true})
}

// machines does the contract's tests, side by side where each has a simulator of
// its own.
func machines(t *testing.T, url string, sim vcsim.Config) {
	for name, test := range contractMachines {
		t.Run(name, func(t *testing.T) {
			if url == "" {
				t.Parallel()
			}
			test(newRig(t, url, sim))
		})
	}
}

// simulated runs a test at a simulator, whatever the environment says.
func simulated(t *testing.T, test func(*rig)) {
	test(newRig(t, "", vcsim.Config{}))
}
