package vcsim

import (
	"fmt"
	"os"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// GuestWrite is a write of a VM's guest to one of its disks, at a byte offset.
// Changed block tracking counts it in grains of 64 KiB.
func (s *Site) GuestWrite(vm string, key int32, off int64, p []byte) error {
	s.storage.Lock()
	defer s.storage.Unlock()
	im, err := s.guestDisk(vm, key)
	if err != nil {
		return err
	}
	if off < 0 || off+int64(len(p)) > im.size {
		return fmt.Errorf("vspheretest: write [%d, %d) is beyond the disk's %d bytes", off, off+int64(len(p)), im.size)
	}
	f, err := os.OpenFile(im.live.file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err = f.WriteAt(p, off); err != nil {
		return err
	}
	if im.track != nil {
		im.track.wrote(off, int64(len(p)))
	}
	return nil
}

// GuestRead reads a disk as the guest does.
func (s *Site) GuestRead(vm string, key int32, off int64, p []byte) error {
	s.storage.Lock()
	defer s.storage.Unlock()
	im, err := s.guestDisk(vm, key)
	if err != nil {
		return err
	}
	f, err := os.Open(im.live.file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.ReadAt(p, off)
	return err
}

// guestDisk is the image of a VM's disk that its guest writes to.
func (s *Site) guestDisk(vm string, key int32) (*image, error) {
	_, v, err := s.find(vm)
	if err != nil {
		return nil, err
	}
	for _, d := range v.disks {
		if d.key != key {
			continue
		}
		im, n, err := s.open(d.file)
		if err != nil {
			return nil, err
		}
		if n != im.live {
			return nil, fmt.Errorf("vspheretest: disk %d of %s is a snapshot's", key, vm)
		}
		return im, nil
	}
	return nil, fmt.Errorf("vspheretest: VM %q has no disk %d", vm, key)
}

// Tools sets whether VMware Tools run in a guest, and its addresses: the n-th is
// the n-th card's. Without addresses, the old ones stay.
func (s *Site) Tools(vm string, running bool, ips ...string) error {
	o, _, err := s.find(vm)
	if err != nil {
		return err
	}
	ctx := s.context()
	ctx.WithLock(o, func() { ctx.Update(o, toolsChanges(o, running, ips)) })
	return nil
}

// toolsChanges are the properties by which clients see a guest.
func toolsChanges(vm *simulator.VirtualMachine, running bool, ips []string) []types.PropertyChange {
	status, run, version := types.VirtualMachineToolsStatusToolsNotRunning, types.VirtualMachineToolsRunningStatusGuestToolsNotRunning, "12345"
	state, beat := types.VirtualMachineGuestStateNotRunning, types.ManagedEntityStatusGray
	if running {
		status, run = types.VirtualMachineToolsStatusToolsOk, types.VirtualMachineToolsRunningStatusGuestToolsRunning
		state, beat = types.VirtualMachineGuestStateRunning, types.ManagedEntityStatusGreen
	}
	c := []types.PropertyChange{
		{Name: "guest.toolsStatus", Val: status},
		{Name: "guest.toolsRunningStatus", Val: string(run)},
		{Name: "guest.toolsVersion", Val: version},
		{Name: "guest.toolsVersionStatus2", Val: string(types.VirtualMachineToolsVersionStatusGuestToolsCurrent)},
		{Name: "guest.guestState", Val: string(state)},
		{Name: "guestHeartbeatStatus", Val: beat},
		{Name: "summary.quickStats.guestHeartbeatStatus", Val: beat},
		{Name: "summary.guest.toolsStatus", Val: status},
		{Name: "summary.guest.toolsRunningStatus", Val: string(run)},
	}
	if running && len(ips) == 0 {
		return c
	}
	nics := make([]types.GuestNicInfo, len(vm.Guest.Net))
	copy(nics, vm.Guest.Net)
	first := ""
	for i := range nics {
		nics[i].IpAddress, nics[i].IpConfig = nil, nil
		if i < len(ips) && ips[i] != "" {
			nics[i].IpAddress = []string{ips[i]}
		}
	}
	if len(ips) > 0 {
		first = ips[0]
	}
	return append(c,
		types.PropertyChange{Name: "guest.net", Val: nics},
		types.PropertyChange{Name: "guest.ipAddress", Val: first},
		types.PropertyChange{Name: "summary.guest.ipAddress", Val: first},
	)
}
