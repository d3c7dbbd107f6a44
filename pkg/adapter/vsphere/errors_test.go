package vsphere_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// Task errors have plain words and the right kind.
func TestFaults(t *testing.T) {
	e := target(t, vcsim.Config{})
	made, err := e.sim.AddVM(vcsim.VMSpec{Name: "a"})
	e.must(err)
	vm := inventory.Ref(made.Ref.String())
	obj := made.Ref
	for _, c := range []struct {
		fault types.BaseMethodFault
		kind  cdp.Kind
		says  []string
	}{
		{&types.FileLocked{FileFault: types.FileFault{File: "[ds] a/a.vmdk"}}, cdp.Conflict, []string{"[ds] a/a.vmdk is locked", "another VM"}},
		{&types.NoPermission{Object: &obj, PrivilegeId: "VirtualMachine.Config.Annotation"}, cdp.Conflict, []string{"grant VirtualMachine.Config.Annotation on a ("}},
		{&types.NoPermission{MissingPrivileges: []types.NoPermissionEntityPrivileges{{Entity: obj, PrivilegeIds: []string{"X.Y"}}}}, cdp.Conflict, []string{"grant X.Y on a ("}},
		{&types.MethodDisabled{Source: "backup"}, cdp.Conflict, []string{"by backup"}},
		{&types.InvalidPowerState{ExistingState: types.VirtualMachinePowerStatePoweredOn}, cdp.Conflict, []string{"it is powered on"}},
		{&types.NoDiskSpace{Datastore: "ds7"}, cdp.Full, []string{"ds7 is full"}},
		{&types.ManagedObjectNotFound{Obj: obj}, cdp.NotFound, []string{"is gone"}},
		{&types.DuplicateName{Name: "n", Object: obj}, cdp.Conflict, []string{`"n" is taken`}},
		{&types.HostNotConnected{}, cdp.Transient, nil},
		{&types.TaskInProgress{Task: obj}, cdp.Transient, []string{"another task"}},
		{&types.RestrictedVersion{}, cdp.Conflict, []string{"licence"}},
		{&types.InvalidArgument{InvalidProperty: "bootOrder"}, cdp.Invalid, []string{"bootOrder: the vCenter says InvalidArgument"}},
		{&types.RequestCanceled{}, cdp.Transient, []string{"cancelled", "administrator@vsphere.local"}},
		{&types.GenericVmConfigFault{VmConfigFault: types.VmConfigFault{VimFault: types.VimFault{MethodFault: types.MethodFault{
			FaultCause: &types.LocalizedMethodFault{Fault: &types.FileLocked{FileFault: types.FileFault{File: "[ds] b.vmdk"}}, LocalizedMessage: "locked"},
		}}}}, cdp.Conflict, []string{"[ds] b.vmdk is locked"}},
	} {
		// Both as an answer and as what a task ends with.
		e.sim.Fault("ReconfigVM_Task", c.fault, 1)
		e.is(e.c.Label(e.ctx, vm, "", "n1", nil), c.kind, c.says...)
		e.sim.FaultTask("reconfigVm", c.fault, 1)
		e.is(e.c.Label(e.ctx, vm, "", "n2", nil), c.kind, c.says...)
	}
}

func TestEndsWithContext(t *testing.T) {
	e := target(t, vcsim.Config{})
	e.sim.Delay("RetrievePropertiesEx", time.Minute, 1)
	ctx, cancel := context.WithTimeout(e.ctx, 200*time.Millisecond)
	defer cancel()
	_, err := e.c.Inventory(ctx)
	if !cdp.Is(err, cdp.Transient) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
