package vsphere

import (
	"context"

	"tidemark.dev/pkg/contract/inventory"
)

// Hold takes a VM's lock.
func (c *Client) Hold(ctx context.Context, vm inventory.Ref) (unlock func(), err error) {
	ref, err := vmRef(vm)
	if err != nil {
		return nil, err
	}
	return c.locks.Lock(ctx, ref)
}

// Waiting is how many callers wait to attach or detach disks of a VM.
func (c *Client) Waiting(vm inventory.Ref) int {
	ref, err := vmRef(vm)
	if err != nil {
		return 0
	}
	c.swaps.mu.Lock()
	defer c.swaps.mu.Unlock()
	return len(c.swaps.due[ref])
}
