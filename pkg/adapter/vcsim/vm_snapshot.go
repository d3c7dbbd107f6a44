package vcsim

import (
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func (m *vmMethods) CreateSnapshotTask(ctx *simulator.Context, req *types.CreateSnapshot_Task) soap.HasFault {
	ex := &types.CreateSnapshotEx_Task{This: req.This, Name: req.Name, Description: req.Description, Memory: req.Memory}
	if req.Quiesce {
		ex.QuiesceSpec = &types.VirtualMachineGuestQuiesceSpec{}
	}
	ref, f := m.snapshot(ctx, ex)
	if f != nil {
		return &methods.CreateSnapshot_TaskBody{Fault_: f}
	}
	return &methods.CreateSnapshot_TaskBody{Res: &types.CreateSnapshot_TaskResponse{Returnval: ref}}
}

func (m *vmMethods) CreateSnapshotExTask(ctx *simulator.Context, req *types.CreateSnapshotEx_Task) soap.HasFault {
	ref, f := m.snapshot(ctx, req)
	if f != nil {
		return &methods.CreateSnapshotEx_TaskBody{Fault_: f}
	}
	return &methods.CreateSnapshotEx_TaskBody{Res: &types.CreateSnapshotEx_TaskResponse{Returnval: ref}}
}

func (m *vmMethods) snapshot(ctx *simulator.Context, req *types.CreateSnapshotEx_Task) (types.ManagedObjectReference, *soap.Fault) {
	vm := vmOf(ctx, req.This)
	if vm == nil {
		return req.This, notFound(req.This)
	}
	return m.s.run(ctx, req.This, "createSnapshot", func() (result, fault) {
		var r result
		var f fault
		ctx.WithLock(vm, func() { r, f = m.s.createSnapshot(ctx, vm, req) })
		return r, f
	}), nil
}

// frozen is one disk on its way into a snapshot.
type frozen struct {
	im   *image
	file string
	key  int32
}

func (s *Site) createSnapshot(ctx *simulator.Context, vm *simulator.VirtualMachine, req *types.CreateSnapshotEx_Task) (result, fault) {
	v := s.refresh(ctx, vm)
	var disks []frozen
	for _, d := range v.disks {
		if strings.HasPrefix(d.mode, "independent") || d.shared {
			continue
		}
		im, _, err := s.open(d.file)
		if err != nil {
			return nil, fileFault(d.file, err)
		}
		disks = append(disks, frozen{im, s.frozenFile(im), d.key})
	}
	if err := s.freezeAll(ctx, vm, v, disks); err != nil {
		return nil, &types.SnapshotFault{VimFault: types.VimFault{MethodFault: types.MethodFault{
			FaultCause: &types.LocalizedMethodFault{Fault: systemError(err), LocalizedMessage: err.Error()},
		}}}
	}
	res := vm.CreateSnapshotExTask(ctx, req).(*methods.CreateSnapshotEx_TaskBody)
	r, f := inner(ctx, res.Res.Returnval)
	if f != nil {
		return nil, f
	}
	ref := r.(types.ManagedObjectReference)
	cbt := vm.Config.ChangeTrackingEnabled != nil && *vm.Config.ChangeTrackingEnabled
	for _, d := range disks {
		if err := s.track(d, cbt); err != nil {
			return nil, fileFault(d.im.base, err)
		}
		if err := s.freeze(d.im, ref.Value, d.file); err != nil {
			return nil, fileFault(d.im.base, err)
		}
	}
	s.showChains(ctx, vm, disks)
	return ref, nil
}

// freezeAll copies the disks at one moment of the guest.
func (s *Site) freezeAll(ctx *simulator.Context, vm *simulator.VirtualMachine, v *vmState, disks []frozen) error {
	freeze := func() error {
		for _, d := range disks {
			if err := cloneFile(d.file, d.im.flat); err != nil {
				return err
			}
		}
		return nil
	}
	if v.on && s.cfg.OnSnapshot != nil {
		return s.cfg.OnSnapshot(s.event(ctx, vm, v, true), freeze)
	}
	return freeze()
}

// track takes a cut of the disk for changed block tracking, if it is on.
func (s *Site) track(d frozen, cbt bool) error {
	if !cbt {
		d.im.track = nil
		return nil
	}
	if d.im.track == nil {
		d.im.track = newTracker()
	}
	c, err := d.im.track.cut(d.file)
	d.im.live.cut = c
	return err
}

// showChains makes the VM show its live nodes, and the snapshots theirs with
// the changeIds.
func (s *Site) showChains(ctx *simulator.Context, vm *simulator.VirtualMachine, disks []frozen) {
	s.editDisks(ctx, vm, func(d *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
		for _, f := range disks {
			if f.key == d.Key && f.im.live != nil {
				d.Backing = f.im.backing(*b, f.im.live)
			}
		}
	})
	var refs []types.ManagedObjectReference
	if vm.Snapshot != nil {
		refs = treeRefs(vm.Snapshot.RootSnapshotList)
	}
	for _, ref := range refs {
		sn, ok := ctx.Map.Get(ref).(*simulator.VirtualMachineSnapshot)
		if !ok {
			continue
		}
		ctx.WithLock(sn, func() {
			devices := copyDisks(sn.Config.Hardware.Device, func(d *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
				if im, n := s.snapshotNode(ref.Value, b.Uuid); n != nil {
					d.Backing = im.backing(*b, n)
				}
			})
			ctx.Update(sn, []types.PropertyChange{{Name: "config.hardware.device", Val: devices}})
		})
	}
	s.refresh(ctx, vm)
}

// snapshotNode is what a snapshot keeps of the disk with this UUID.
func (s *Site) snapshotNode(snap, id string) (*image, *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, im := range s.images {
		if im.uuid != id {
			continue
		}
		for _, n := range im.nodes {
			if n.snap == snap {
				return im, n
			}
		}
	}
	return nil, nil
}

// chainsOf are all images of the VM's disks and of its snapshots'.
func (s *Site) chainsOf(v *vmState, snaps []types.ManagedObjectReference) []frozen {
	s.mu.Lock()
	defer s.mu.Unlock()
	var l []frozen
	seen := map[*image]bool{}
	for _, d := range v.disks {
		if im := s.images[d.file]; im != nil && !d.shared && !seen[im] {
			seen[im] = true
			l = append(l, frozen{im: im, key: d.key})
		}
	}
	for _, im := range s.images {
		for _, n := range im.nodes {
			for _, ref := range snaps {
				if n.snap == ref.Value && !seen[im] {
					seen[im] = true
					l = append(l, frozen{im: im, key: -1})
				}
			}
		}
	}
	return l
}
