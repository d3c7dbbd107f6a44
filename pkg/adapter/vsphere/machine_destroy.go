package vsphere

import (
	"context"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// Destroy unregisters a powered-off VM and deletes its home. It is no error if it
// does not exist. Conflict: disks are attached, which the vCenter would delete too,
// unless withDisks.
func (c *Client) Destroy(ctx context.Context, vm inventory.Ref, withDisks bool) error {
	const op = "delete a VM"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	// Held until it is destroyed: no disk may be attached meanwhile.
	unlock, err := c.exclusive(ctx, op, ref)
	if cdp.Is(err, cdp.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	m, err := c.config(ctx, op, ref)
	if cdp.Is(err, cdp.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if !withDisks {
		var files []string
		for _, d := range disksOf(m.Config.Hardware.Device) {
			files = append(files, diskOf(d).File)
		}
		if len(files) > 0 {
			return cdp.Errorf(cdp.Conflict, op, ref.String(), "disks are attached to it: %s", strings.Join(files, ", ")).
				WithHint("detach them first, or they will be deleted too")
		}
	}
	_, err = c.task(ctx, op, ref.String(), func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		return object.NewVirtualMachine(v, ref).Destroy(ctx)
	})
	if cdp.Is(err, cdp.NotFound) {
		return nil
	}
	return err
}
