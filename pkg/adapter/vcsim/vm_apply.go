package vcsim

import (
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// applyPlan carries a plan out after the simulator applied the change.
func (s *Site) applyPlan(ctx *simulator.Context, vm *simulator.VirtualMachine, p *diskPlan) (*vmState, fault) {
	var failed fault
	var toggled []toggle
	s.editDisks(ctx, vm, func(d *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
		if p.created[b.Uuid] {
			b.FileName = canonical(b.FileName)
			if err := s.adopt(b.FileName, d.CapacityInBytes, b.Uuid); err != nil {
				failed = fileFault(b.FileName, err)
			}
		}
		if size, ok := p.grown[d.Key]; ok {
			if err := s.growDisk(b.FileName, size); err != nil {
				failed = fileFault(b.FileName, err)
			}
		}
		f, ok := p.edited[d.Key]
		if !ok {
			f, ok = p.filters[b.Uuid]
		}
		if ok {
			toggled = append(toggled, toggles(d.Key, d.Iofilter, f)...)
			d.Iofilter = f.ids
		}
	})
	v := s.refresh(ctx, vm)
	for _, name := range p.destroy {
		s.destroyDisk(v.ref, name, false)
	}
	s.tellFilters(ctx, vm, v, toggled)
	return v, failed
}

// adopt makes a disk the simulator created real.
func (s *Site) adopt(name string, size int64, id string) error {
	file, err := s.local(name)
	if err != nil {
		return err
	}
	if err = writeDescriptor(file, size, id); err != nil {
		return err
	}
	_, _, err = s.open(name)
	return err
}

// growDisk grows a disk without snapshots. Its changed block tracking starts
// anew, as on a real host.
func (s *Site) growDisk(name string, size int64) error {
	im, _, err := s.open(name)
	if err != nil {
		return err
	}
	file, err := s.local(im.base)
	if err != nil {
		return err
	}
	if err = writeDescriptor(file, size, im.uuid); err != nil {
		return err
	}
	s.mu.Lock()
	im.size, im.track = size, nil
	s.mu.Unlock()
	return grow(im.flat, size)
}

// destroyDisk deletes a disk that was taken from a VM, unless a VM that is on
// has it open. What snapshots keep stays, unless all of it shall go.
func (s *Site) destroyDisk(self types.ManagedObjectReference, name string, all bool) {
	im, n, err := s.open(name)
	if err != nil || im.live != n {
		return
	}
	if who, _ := s.lockedBy(self, []vmDisk{{file: n.name}}); who != "" {
		return
	}
	if all || !slices.ContainsFunc(im.nodes, func(n *node) bool { return n.snap != "" }) {
		s.deleteImage(im)
		return
	}
	s.mu.Lock()
	s.dropNode(im, n)
	im.live = nil
	s.mu.Unlock()
	_ = os.Remove(im.flat)
}

// editDisks replaces a VM's disks by changed copies. They are never changed in
// place: an answer that shows them may be on its way.
func (s *Site) editDisks(ctx *simulator.Context, vm *simulator.VirtualMachine, f func(*types.VirtualDisk, *types.VirtualDiskFlatVer2BackingInfo)) {
	ctx.WithLock(vm, func() {
		devices := copyDisks(vm.Config.Hardware.Device, f)
		ctx.Update(vm, devicesChanged(devices))
	})
}

// devicesChanged are the changes of a VM that gets these devices: its configuration is
// another one, with another version.
func devicesChanged(devices []types.BaseVirtualDevice) []types.PropertyChange {
	return []types.PropertyChange{
		{Name: "config.hardware.device", Val: devices},
		{Name: "config.changeVersion", Val: strconv.FormatInt(time.Now().UnixNano(), 10)},
	}
}

func copyDisks(devices []types.BaseVirtualDevice, f func(*types.VirtualDisk, *types.VirtualDiskFlatVer2BackingInfo)) []types.BaseVirtualDevice {
	r := make([]types.BaseVirtualDevice, len(devices))
	for i, dev := range devices {
		r[i] = dev
		if d, ok := dev.(*types.VirtualDisk); ok && flat(d) != nil {
			nd, nb := *d, *flat(d)
			nd.Backing = &nb
			f(&nd, &nb)
			r[i] = &nd
		}
	}
	return r
}

func fileFault(name string, err error) fault {
	if os.IsNotExist(err) {
		return &types.FileNotFound{FileFault: types.FileFault{File: name}}
	}
	if os.IsExist(err) {
		return &types.FileAlreadyExists{FileFault: types.FileFault{File: name}}
	}
	return &types.FileFault{File: name, VimFault: types.VimFault{MethodFault: types.MethodFault{
		FaultCause: &types.LocalizedMethodFault{Fault: systemError(err), LocalizedMessage: err.Error()},
	}}}
}
