package vcenter

import (
	"context"

	"tidemark.dev/pkg/contract/inventory"
)

// vcenter is the connection to the site's vCenter, and to no other. What is
// changed over it is not answered for from an inventory of before.
func (s *Service) vcenter(ctx context.Context) (VCenter, error) {
	vc, err := s.deps.VCenter(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.recognise(ctx, vc); err != nil {
		return nil, err
	}
	return noting{vc, s.seen.changed}, nil
}

// noting tells of every call that changes what an inventory shows, after it, also
// when it failed: half of it may have been done.
type noting struct {
	VCenter
	changed func()
}

func (n noting) Snapshot(ctx context.Context, vm inventory.Ref, name, note string, quiesce bool) (inventory.Snapshot, error) {
	defer n.changed()
	return n.VCenter.Snapshot(ctx, vm, name, note, quiesce)
}

func (n noting) RemoveSnapshot(ctx context.Context, vm, snapshot inventory.Ref) error {
	defer n.changed()
	return n.VCenter.RemoveSnapshot(ctx, vm, snapshot)
}

func (n noting) Revert(ctx context.Context, vm, snapshot inventory.Ref) error {
	defer n.changed()
	return n.VCenter.Revert(ctx, vm, snapshot)
}

func (n noting) Consolidate(ctx context.Context, vm inventory.Ref) error {
	defer n.changed()
	return n.VCenter.Consolidate(ctx, vm)
}

func (n noting) Track(ctx context.Context, vm inventory.Ref) error {
	defer n.changed()
	return n.VCenter.Track(ctx, vm)
}

func (n noting) MakeVM(ctx context.Context, m inventory.Make) (inventory.Ref, error) {
	defer n.changed()
	return n.VCenter.MakeVM(ctx, m)
}

func (n noting) Reshape(ctx context.Context, vm inventory.Ref, h inventory.Hardware, networks map[int32]inventory.Ref) error {
	defer n.changed()
	return n.VCenter.Reshape(ctx, vm, h, networks)
}

func (n noting) Destroy(ctx context.Context, vm inventory.Ref, withDisks bool) error {
	defer n.changed()
	return n.VCenter.Destroy(ctx, vm, withDisks)
}

func (n noting) Plug(ctx context.Context, vm inventory.Ref, disks []inventory.Plug) ([]string, error) {
	defer n.changed()
	return n.VCenter.Plug(ctx, vm, disks)
}

func (n noting) Unplug(ctx context.Context, vm inventory.Ref, files []string) error {
	defer n.changed()
	return n.VCenter.Unplug(ctx, vm, files)
}

func (n noting) PowerOn(ctx context.Context, vm inventory.Ref) error {
	defer n.changed()
	return n.VCenter.PowerOn(ctx, vm)
}

func (n noting) PowerOff(ctx context.Context, vm inventory.Ref) error {
	defer n.changed()
	return n.VCenter.PowerOff(ctx, vm)
}

func (n noting) Label(ctx context.Context, vm inventory.Ref, name, note string, extra map[string]string) error {
	defer n.changed()
	return n.VCenter.Label(ctx, vm, name, note, extra)
}

func (n noting) Connect(ctx context.Context, vm inventory.Ref, networks map[int32]inventory.Ref) error {
	defer n.changed()
	return n.VCenter.Connect(ctx, vm, networks)
}

func (n noting) AttachFilter(ctx context.Context, vm inventory.Ref, filter, policy string, disks map[int32]map[string]string) error {
	defer n.changed()
	return n.VCenter.AttachFilter(ctx, vm, filter, policy, disks)
}

func (n noting) DetachFilter(ctx context.Context, vm inventory.Ref, filter string, disks []int32) error {
	defer n.changed()
	return n.VCenter.DetachFilter(ctx, vm, filter, disks)
}

func (n noting) Import(ctx context.Context, i inventory.Import, progress func(percent int)) (inventory.Ref, error) {
	defer n.changed()
	return n.VCenter.Import(ctx, i, progress)
}
