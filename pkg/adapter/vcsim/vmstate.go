package vcsim

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// vmState is what the site remembers of a VM, so that locks and devices can be
// worked out without locking other VMs in the simulator. It is read anew after
// every task on the VM.
type vmState struct {
	ref   types.ManagedObjectReference
	name  string
	uuid  string
	host  types.ManagedObjectReference
	on    bool
	disks []vmDisk
	// params are the parameters of I/O filters, by disk key and filter.
	params map[string]map[string]string
	saved  []byte
}

type vmDisk struct {
	key     int32
	label   string
	file    string // the node's name
	uuid    string
	size    int64
	mode    string
	shared  bool // several VMs may have it
	filters []string
}

func paramKey(disk int32, filter string) string { return fmt.Sprintf("%d/%s", disk, filter) }

// nonpersistent disks are only read.
func nonpersistent(mode string) bool {
	return mode == string(types.VirtualDiskModeIndependent_nonpersistent) || mode == string(types.VirtualDiskModeNonpersistent)
}

func disksOf(devices []types.BaseVirtualDevice) []*types.VirtualDisk {
	var r []*types.VirtualDisk
	for _, d := range devices {
		if x, ok := d.(*types.VirtualDisk); ok {
			r = append(r, x)
		}
	}
	return r
}

// flat is the backing of an ordinary disk; nil for raw device mappings and the
// like, which the site leaves alone.
func flat(d *types.VirtualDisk) *types.VirtualDiskFlatVer2BackingInfo {
	b, _ := d.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	return b
}

func vmOf(ctx *simulator.Context, ref types.ManagedObjectReference) *simulator.VirtualMachine {
	v, _ := ctx.Map.Get(ref).(*simulator.VirtualMachine)
	return v
}

// refresh reads a VM anew and brings its devices up to date.
func (s *Site) refresh(ctx *simulator.Context, vm *simulator.VirtualMachine) *vmState {
	v := &vmState{ref: vm.Self}
	ctx.WithLock(vm, func() {
		v.name, v.uuid = vm.Name, vm.Config.InstanceUuid
		v.on = vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
		if vm.Runtime.Host != nil {
			v.host = *vm.Runtime.Host
		}
		for _, d := range disksOf(vm.Config.Hardware.Device) {
			b := flat(d)
			if b == nil {
				continue
			}
			x := vmDisk{
				key: d.Key, file: canonical(b.FileName), uuid: b.Uuid, size: d.CapacityInBytes, mode: b.DiskMode,
				shared: nonpersistent(b.DiskMode) || b.Sharing == string(types.VirtualDiskSharingSharingMultiWriter), filters: slices.Clone(d.Iofilter),
			}
			if d.DeviceInfo != nil {
				x.label = d.DeviceInfo.GetDescription().Label
			}
			v.disks = append(v.disks, x)
		}
		v.saved = s.encode(ctx, vm)
	})
	s.mu.Lock()
	v.params = map[string]map[string]string{}
	old := s.vms[vm.Self]
	if old != nil {
		v.params = old.params
	}
	s.vms[vm.Self] = v
	s.mu.Unlock()
	if old != nil && old.name != v.name {
		_ = os.RemoveAll(s.deviceDir(old.name))
	}
	if old == nil || !bytes.Equal(old.saved, v.saved) {
		_ = writeFile(s.savedFile(v.uuid), v.saved)
	}
	s.plug(v)
	return v
}

func (s *Site) forget(v *vmState) {
	s.mu.Lock()
	delete(s.vms, v.ref)
	s.mu.Unlock()
	_ = os.Remove(s.savedFile(v.uuid))
	_ = os.RemoveAll(s.deviceDir(v.name))
}

func (s *Site) deviceDir(vm string) string { return filepath.Join(s.cfg.Devices, vm) }

// plug makes the VM's device directory show its disks, if it is on.
func (s *Site) plug(v *vmState) {
	dir := s.deviceDir(v.name)
	want := map[string]string{}
	if v.on {
		for _, d := range v.disks {
			if file, err := s.FlatPath(d.file); err == nil && d.uuid != "" {
				want[deviceName(d.uuid)] = file
			}
		}
	}
	have, _ := os.ReadDir(dir)
	for _, e := range have {
		p := filepath.Join(dir, e.Name())
		if to, err := os.Readlink(p); err != nil || want[e.Name()] != to {
			_ = os.Remove(p)
		} else {
			delete(want, e.Name())
		}
	}
	if len(want) > 0 {
		_ = os.MkdirAll(dir, 0o755)
	}
	for name, file := range want {
		// A device must never be seen half made.
		tmp := filepath.Join(dir, ".new-"+name)
		_ = os.Remove(tmp)
		if os.Symlink(file, tmp) == nil {
			_ = os.Rename(tmp, filepath.Join(dir, name))
		}
	}
	if !v.on {
		_ = os.Remove(dir)
	}
}

// holds are the files a VM has open when it is on: true is exclusively. The
// parents of a disk are open for reading.
func (s *Site) holds(disks []vmDisk) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := map[string]bool{}
	for _, d := range disks {
		h[d.file] = h[d.file] || !d.shared
		if im := s.images[d.file]; im != nil {
			for n := im.node(d.file).parent; n != nil; n = n.parent {
				h[n.name] = h[n.name] || false
			}
		}
	}
	return h
}

// lockedBy names a VM that is on, other than self, and prevents these disks from
// being opened, and the file.
func (s *Site) lockedBy(self types.ManagedObjectReference, disks []vmDisk) (vm, file string) {
	want := s.holds(disks)
	for _, o := range s.states() {
		if o.ref == self || !o.on {
			continue
		}
		for name, exclusive := range s.holds(o.disks) {
			if mine, ok := want[name]; ok && (exclusive || mine) {
				return o.name, name
			}
		}
	}
	return "", ""
}

// states are all VMs, ordered by name.
func (s *Site) states() []*vmState {
	s.mu.Lock()
	defer s.mu.Unlock()
	var l []*vmState
	for _, v := range s.vms {
		l = append(l, v)
	}
	slices.SortFunc(l, func(a, b *vmState) int { return strings.Compare(a.name+a.ref.Value, b.name+b.ref.Value) })
	return l
}

// find is a VM by name, instance UUID or reference value.
func (s *Site) find(vm string) (*simulator.VirtualMachine, *vmState, error) {
	for _, v := range s.states() {
		if v.name == vm || v.ref.Value == vm || strings.EqualFold(v.uuid, vm) {
			if o := vmOf(s.context(), v.ref); o != nil {
				return o, v, nil
			}
		}
	}
	// Renamed without our seeing it, perhaps.
	for _, e := range s.registry().All("VirtualMachine") {
		if o, ok := e.(*simulator.VirtualMachine); ok {
			if v := s.refresh(s.context(), o); v.name == vm {
				return o, v, nil
			}
		}
	}
	return nil, nil, fmt.Errorf("vspheretest: no VM %q", vm)
}

func fileLocked(file string) fault {
	return &types.FileLocked{FileFault: types.FileFault{File: file}}
}
