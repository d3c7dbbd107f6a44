package vcsim

import (
	"testing"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// A change below a property that a filter asks for becomes one of the property, with a
// value of its own: what changes later does not change it.
func TestAChangeBelowAPropertyIsOneOfTheProperty(t *testing.T) {
	sn := types.ManagedObjectReference{Type: "VirtualMachineSnapshot", Value: "s1"}
	vm := &mo.VirtualMachine{}
	vm.Self.Type = "VirtualMachine"
	vm.Snapshot = &types.VirtualMachineSnapshotInfo{CurrentSnapshot: &sn, RootSnapshotList: []types.VirtualMachineSnapshotTree{{Snapshot: sn, Name: "one"}}}
	s := subject{"VirtualMachine": {"name", "snapshot", "runtime.host"}}
	got := s.whole(vm, []types.PropertyChange{{Name: "snapshot.rootSnapshotList", Val: 1}, {Name: "name", Val: "web"}, {Name: "snapshot.currentSnapshot", Val: sn}, {Name: "runtime.host.x", Val: 2}, {Name: "nameless", Val: 3}})
	if len(got) != 4 || got[0].Name != "name" || got[1].Name != "snapshot" || got[2].Name != "runtime.host.x" || got[3].Name != "nameless" {
		t.Fatalf("%+v", got)
	}
	vm.Snapshot.RootSnapshotList[0].Name, vm.Snapshot.CurrentSnapshot.Value = "two", "s2"
	if info := got[1].Val.(types.VirtualMachineSnapshotInfo); info.RootSnapshotList[0].Name != "one" || info.CurrentSnapshot.Value != "s1" {
		t.Errorf("%+v", info)
	}
}
