package vcenter

import (
	"context"

	"tidemark.dev/pkg/contract/inventory"
)

// connection is a connection to the site's own vCenter that invalidates the
// inventory cache with every change.
//
// Only Reads is embedded, and vc is reached by the methods below alone. So a
// change that is added to a port is not part of a connection until it has a method
// here. The cache is invalidated when a call is over, also if it failed, for it may
// have done a part.
type connection struct {
	Reads
	vc      Changes
	changed func()
}

var _ VCenter = connection{}

func (c connection) Snapshot(ctx context.Context, vm inventory.Ref, name, note string, quiesce bool) (inventory.Snapshot, error) {
	defer c.changed()
	return c.vc.Snapshot(ctx, vm, name, note, quiesce)
}

func (c connection) RemoveSnapshot(ctx context.Context, vm, snapshot inventory.Ref) error {
	defer c.changed()
	return c.vc.RemoveSnapshot(ctx, vm, snapshot)
}

func (c connection) Revert(ctx context.Context, vm, snapshot inventory.Ref) error {
	defer c.changed()
	return c.vc.Revert(ctx, vm, snapshot)
}

func (c connection) Consolidate(ctx context.Context, vm inventory.Ref) error {
	defer c.changed()
	return c.vc.Consolidate(ctx, vm)
}

func (c connection) Track(ctx context.Context, vm inventory.Ref) error {
	defer c.changed()
	return c.vc.Track(ctx, vm)
}

func (c connection) MakeVM(ctx context.Context, m inventory.Make) (inventory.Ref, error) {
	defer c.changed()
	return c.vc.MakeVM(ctx, m)
}

func (c connection) Reshape(ctx context.Context, vm inventory.Ref, h inventory.Hardware, networks map[int32]inventory.Ref) error {
	defer c.changed()
	return c.vc.Reshape(ctx, vm, h, networks)
}

func (c connection) Destroy(ctx context.Context, vm inventory.Ref, withDisks bool) error {
	defer c.changed()
	return c.vc.Destroy(ctx, vm, withDisks)
}

func (c connection) Plug(ctx context.Context, vm inventory.Ref, disks []inventory.Plug) ([]string, error) {
	defer c.changed()
	return c.vc.Plug(ctx, vm, disks)
}

func (c connection) Unplug(ctx context.Context, vm inventory.Ref, files []string) error {
	defer c.changed()
	return c.vc.Unplug(ctx, vm, files)
}

func (c connection) Extend(ctx context.Context, vm inventory.Ref, file string, size int64) error {
	defer c.changed()
	return c.vc.Extend(ctx, vm, file, size)
}

func (c connection) PowerOn(ctx context.Context, vm inventory.Ref) error {
	defer c.changed()
	return c.vc.PowerOn(ctx, vm)
}

func (c connection) PowerOff(ctx context.Context, vm inventory.Ref) error {
	defer c.changed()
	return c.vc.PowerOff(ctx, vm)
}

func (c connection) ShutdownGuest(ctx context.Context, vm inventory.Ref) error {
	defer c.changed()
	return c.vc.ShutdownGuest(ctx, vm)
}

func (c connection) Label(ctx context.Context, vm inventory.Ref, name, note string, extra map[string]string) error {
	defer c.changed()
	return c.vc.Label(ctx, vm, name, note, extra)
}

func (c connection) Connect(ctx context.Context, vm inventory.Ref, networks map[int32]inventory.Ref) error {
	defer c.changed()
	return c.vc.Connect(ctx, vm, networks)
}

func (c connection) AttachFilter(ctx context.Context, vm inventory.Ref, filter, policy string, disks map[int32]map[string]string) error {
	defer c.changed()
	return c.vc.AttachFilter(ctx, vm, filter, policy, disks)
}

func (c connection) DetachFilter(ctx context.Context, vm inventory.Ref, filter string, disks []int32) error {
	defer c.changed()
	return c.vc.DetachFilter(ctx, vm, filter, disks)
}

func (c connection) Import(ctx context.Context, i inventory.Import, progress func(percent int)) (inventory.Ref, error) {
	defer c.changed()
	return c.vc.Import(ctx, i, progress)
}

func (c connection) MakeDisk(ctx context.Context, dc inventory.Ref, file string, size int64) error {
	defer c.changed()
	return c.vc.MakeDisk(ctx, dc, file, size)
}

func (c connection) DeleteDisk(ctx context.Context, dc inventory.Ref, file, uuid string) error {
	defer c.changed()
	return c.vc.DeleteDisk(ctx, dc, file, uuid)
}

func (c connection) Block(ctx context.Context, vm inventory.Ref, why string) error {
	defer c.changed()
	return c.vc.Block(ctx, vm, why)
}

func (c connection) Unblock(ctx context.Context, vm inventory.Ref) error {
	defer c.changed()
	return c.vc.Unblock(ctx, vm)
}

func (c connection) SetAutoStart(ctx context.Context, vm inventory.Ref, x inventory.AutoStart) error {
	defer c.changed()
	return c.vc.SetAutoStart(ctx, vm, x)
}

func (c connection) SetHARestart(ctx context.Context, vm inventory.Ref, x inventory.HARestart) error {
	defer c.changed()
	return c.vc.SetHARestart(ctx, vm, x)
}

func (c connection) Customize(ctx context.Context, vm inventory.Ref, id inventory.Identity) error {
	defer c.changed()
	return c.vc.Customize(ctx, vm, id)
}

func (c connection) RunInGuest(ctx context.Context, vm inventory.Ref, s inventory.GuestScript) (inventory.GuestResult, error) {
	defer c.changed()
	return c.vc.RunInGuest(ctx, vm, s)
}

func (c connection) ForgetGuestRun(ctx context.Context, vm inventory.Ref, s inventory.GuestScript) error {
	defer c.changed()
	return c.vc.ForgetGuestRun(ctx, vm, s)
}

func (c connection) InstallFilter(ctx context.Context, cluster inventory.Ref, bundleURL string) error {
	defer c.changed()
	return c.vc.InstallFilter(ctx, cluster, bundleURL)
}

func (c connection) UpgradeFilter(ctx context.Context, cluster inventory.Ref, id, bundleURL string) error {
	defer c.changed()
	return c.vc.UpgradeFilter(ctx, cluster, id, bundleURL)
}

func (c connection) UninstallFilter(ctx context.Context, cluster inventory.Ref, id string) error {
	defer c.changed()
	return c.vc.UninstallFilter(ctx, cluster, id)
}

func (c connection) ResolveFilter(ctx context.Context, cluster inventory.Ref, id string) error {
	defer c.changed()
	return c.vc.ResolveFilter(ctx, cluster, id)
}
