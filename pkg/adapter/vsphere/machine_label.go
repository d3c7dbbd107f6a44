package vsphere

import (
	"context"

	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/contract/inventory"
)

// Label sets name, annotation and settings. An empty name or annotation stays as it
// is; a setting of "" is removed. Conflict: the name is taken.
func (c *Client) Label(ctx context.Context, vm inventory.Ref, name, note string, extra map[string]string) error {
	const op = "label a VM"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	unlock, err := c.exclusive(ctx, op, ref)
	if err != nil {
		return err
	}
	defer unlock()
	m, err := c.config(ctx, op, ref, "name")
	if err != nil {
		return err
	}
	spec := types.VirtualMachineConfigSpec{ExtraConfig: changedSettings(settings(m), extra)}
	if inventory.Unescape(m.Name) != name {
		spec.Name = name
	}
	if m.Config.Annotation != note {
		spec.Annotation = note
	}
	if spec.Name == "" && spec.Annotation == "" && len(spec.ExtraConfig) == 0 {
		return nil
	}
	return c.reconfigure(ctx, op, ref, spec)
}

// Extra are all advanced settings of a VM, its secrets included. They must not be
// passed on.
func (c *Client) Extra(ctx context.Context, vm inventory.Ref) (map[string]string, error) {
	ref, err := vmRef(vm)
	if err != nil {
		return nil, err
	}
	m, err := c.config(ctx, "read a VM's settings", ref)
	if err != nil {
		return nil, err
	}
	return settings(m), nil
}
