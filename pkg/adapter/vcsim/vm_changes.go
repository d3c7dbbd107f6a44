package vcsim

import (
	"maps"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func (m *vmMethods) QueryChangedDiskAreas(ctx *simulator.Context, req *types.QueryChangedDiskAreas) soap.HasFault {
	info, f := m.s.changedAreas(ctx, req)
	if f != nil {
		return &methods.QueryChangedDiskAreasBody{Fault_: soapFault(f)}
	}
	return &methods.QueryChangedDiskAreasBody{Res: &types.QueryChangedDiskAreasResponse{Returnval: *info}}
}

// changedAreas answers for a snapshot's disk, or for the current disk of a
// powered-off VM.
func (s *Site) changedAreas(ctx *simulator.Context, req *types.QueryChangedDiskAreas) (*types.DiskChangeInfo, fault) {
	invalid := func(p string) fault { return &types.InvalidArgument{InvalidProperty: p} }
	s.storage.Lock()
	defer s.storage.Unlock()
	vm := vmOf(ctx, req.This)
	var dev *types.VirtualDisk
	var off bool
	ctx.WithLock(vm, func() {
		off = vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff
		dev = diskByKey(vm.Config.Hardware.Device, req.DeviceKey)
	})
	snap := ""
	if req.Snapshot != nil {
		sn, ok := ctx.Map.Get(*req.Snapshot).(*simulator.VirtualMachineSnapshot)
		if !ok {
			return nil, &types.ManagedObjectNotFound{Obj: *req.Snapshot}
		}
		snap = sn.Self.Value
		ctx.WithLock(sn, func() { dev = diskByKey(sn.Config.Hardware.Device, req.DeviceKey) })
	} else if !off {
		return nil, invalid("snapshot")
	}
	if dev == nil || flat(dev) == nil {
		return nil, invalid("deviceKey")
	}
	if req.StartOffset < 0 || req.StartOffset >= dev.CapacityInBytes {
		return nil, invalid("startOffset")
	}
	want, f := s.changedGrains(dev, snap, req.ChangeId)
	if f != nil {
		return nil, f
	}
	return s.page(want, dev.CapacityInBytes, req.StartOffset), nil
}

func diskByKey(devices []types.BaseVirtualDevice, key int32) *types.VirtualDisk {
	for _, d := range disksOf(devices) {
		if d.Key == key {
			return d
		}
	}
	return nil
}

func (s *Site) changedGrains(dev *types.VirtualDisk, snap, changeID string) (map[int64]bool, fault) {
	im, n, err := s.open(flat(dev).FileName)
	if err != nil {
		return nil, fileFault(flat(dev).FileName, err)
	}
	if snap != "" {
		if im, n = s.snapshotNode(snap, flat(dev).Uuid); n == nil {
			return nil, fileFault(flat(dev).FileName, errNoTracking)
		}
	}
	to := n.cut
	if im.track == nil || snap != "" && to.id != im.track.id {
		return nil, fileFault(n.name, errNoTracking)
	}
	if changeID == "*" {
		set, err := allocated(n.file)
		if err != nil {
			return nil, fileFault(n.name, err)
		}
		return set, nil
	}
	from, ok := parseChangeID(changeID)
	if !ok || from.id != im.track.id || from.seq > im.track.seq || snap != "" && from.seq > to.seq {
		return nil, &types.InvalidArgument{InvalidProperty: "changeId"} // stale: all must be read again
	}
	if snap != "" {
		return im.track.between(from.seq, to.seq), nil
	}
	set := im.track.between(from.seq, im.track.seq)
	now, _, err := im.track.since(n.file)
	if err != nil {
		return nil, fileFault(n.name, err)
	}
	maps.Copy(set, now)
	return set, nil
}

// page joins grains to extents from an offset on. If there are too many, the answer
// covers only a part of the disk, and says which.
func (s *Site) page(want map[int64]bool, size, start int64) *types.DiskChangeInfo {
	info := &types.DiskChangeInfo{StartOffset: start, Length: size - start}
	for _, g := range slices.Sorted(maps.Keys(want)) {
		off, end := max(g*grain, start), min((g+1)*grain, size)
		if end <= off {
			continue
		}
		if k := len(info.ChangedArea); k > 0 && info.ChangedArea[k-1].Start+info.ChangedArea[k-1].Length == off {
			info.ChangedArea[k-1].Length += end - off
			continue
		}
		if s.cfg.CBTMaxExtents > 0 && len(info.ChangedArea) == s.cfg.CBTMaxExtents {
			info.Length = off - start
			break
		}
		info.ChangedArea = append(info.ChangedArea, types.DiskChangeExtent{Start: off, Length: end - off})
	}
	return info
}

type trackError string

func (e trackError) Error() string { return string(e) }

const errNoTracking = trackError("change tracking is not active on this disk")

// ResetCBT breaks the change tracking of a VM's disks, as a host crash does:
// earlier changeIds are refused.
func (s *Site) ResetCBT(vm string) error {
	_, v, err := s.find(vm)
	if err != nil {
		return err
	}
	s.storage.Lock()
	defer s.storage.Unlock()
	for _, d := range v.disks {
		if im, _, err := s.open(d.file); err == nil {
			im.track = nil
		}
	}
	return nil
}
