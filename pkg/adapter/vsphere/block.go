package vsphere

import (
	"context"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// blocker is the name under which the vCenter lists disabled operations.
const blocker = "tidemark"

// blocked are the operations that start a VM.
var blocked = []string{"PowerOnVM_Task"}

// Block forbids power-on at the vCenter for everybody. An ESXi host without a
// vCenter cannot do that: there the VM is only marked, which PowerOn obeys and
// people can read. A second call only changes the reason.
func (c *Client) Block(ctx context.Context, vm inventory.Ref, why string) error {
	const op = "block the power-on"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	if why == "" {
		return cdp.Errorf(cdp.Invalid, op, ref.String(), "it needs a reason")
	}
	if err := c.Label(ctx, vm, "", "", map[string]string{settingBlocked: why}); err != nil {
		return err
	}
	if c.about.ESX {
		return nil
	}
	var methods []object.DisabledMethodRequest
	for _, m := range blocked {
		methods = append(methods, object.DisabledMethodRequest{Method: m, Reason: why})
	}
	return c.do(ctx, op, ref.String(), func(ctx context.Context, v *vim25.Client) error {
		return object.NewAuthorizationManager(v).DisableMethods(ctx, []types.ManagedObjectReference{ref}, methods, blocker)
	})
}

// Unblock allows power-on again, if Block forbade it.
func (c *Client) Unblock(ctx context.Context, vm inventory.Ref) error {
	const op = "allow the power-on"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	if !c.about.ESX {
		err := c.do(ctx, op, ref.String(), func(ctx context.Context, v *vim25.Client) error {
			return object.NewAuthorizationManager(v).EnableMethods(ctx, []types.ManagedObjectReference{ref}, blocked, blocker)
		})
		if err != nil {
			return err
		}
	}
	return c.Label(ctx, vm, "", "", map[string]string{settingBlocked: ""})
}
