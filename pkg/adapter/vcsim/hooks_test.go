package vcsim_test

import (
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
	"tidemark.dev/pkg/adapter/vcsim"
)

func TestPowerHook(t *testing.T) {
	var refuse atomic.Bool
	events := make(chan vcsim.PowerEvent, 10)
	var paused atomic.Bool
	cfg := vcsim.Config{
		OnPower: func(ev vcsim.PowerEvent) error {
			if refuse.Load() {
				return errors.New("no hypervisor")
			}
			events <- ev
			return nil
		},
		OnSnapshot: func(ev vcsim.PowerEvent, freeze func() error) error {
			paused.Store(true)
			// The last write before the pause is in the snapshot.
			f, err := os.OpenFile(ev.Disks[0].Flat, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("paused"), 0)
			return errors.Join(err, f.Close(), freeze())
		},
	}
	c := site(t, cfg)
	vm, ref := c.add(vcsim.VMSpec{
		Name: "x", CPUs: 2, MemoryMB: 512, Firmware: "efi", Disks: []vcsim.DiskSpec{{Size: mib}},
		NICs: []vcsim.NICSpec{{Network: "isolated", MAC: "00:50:56:aa:bb:cc"}}, Extra: map[string]string{"guestinfo.ledger": "on"},
	})
	refuse.Store(true)
	task, err := vm.PowerOn(c.ctx)
	c.ok(err)
	if err = task.Wait(c.ctx); !fault.Is(err, &types.SystemErrorFault{}) && err == nil {
		t.Errorf("%v", err)
	}
	if s := c.props(vm, "runtime.powerState").Runtime.PowerState; s != types.VirtualMachinePowerStatePoweredOff {
		t.Error(s)
	}
	refuse.Store(false)
	c.must(vm.PowerOn(c.ctx))
	ev := <-events
	if !ev.On || ev.VM != "x" || ev.UUID != ref.UUID || ev.CPUs != 2 || ev.MemoryMB != 512 || ev.Firmware != "efi" ||
		ev.Extra["guestinfo.ledger"] != "on" || len(ev.Disks) != 1 || ev.Disks[0].Flat != ref.Disks[0].Flat ||
		!slices.Equal(ev.NICs, []vcsim.PowerNIC{{Key: ev.NICs[0].Key, Kind: "VirtualVmxnet3", MAC: "00:50:56:aa:bb:cc", Network: "isolated"}}) {
		t.Errorf("%+v", ev)
	}
	snap := c.snapshot(vm, "s")
	if got := c.content(backing(c.snapDisk(snap, 0)).FileName, 0, 6); !paused.Load() || string(got) != "paused" {
		t.Errorf("%q", got)
	}
	c.must(vm.PowerOff(c.ctx))
	if ev = <-events; ev.On {
		t.Errorf("%+v", ev)
	}
}

func TestToolsAndCustomization(t *testing.T) {
	c := site(t, vcsim.Config{})
	vm, _ := c.add(vcsim.VMSpec{Name: "x", Disks: []vcsim.DiskSpec{{Size: mib}}, NICs: []vcsim.NICSpec{{}}})
	c.must(vm.Customize(c.ctx, types.CustomizationSpec{
		Identity:      &types.CustomizationLinuxPrep{HostName: &types.CustomizationFixedName{Name: "x"}, Domain: "example"},
		NicSettingMap: []types.CustomizationAdapterMapping{{Adapter: types.CustomizationIPSettings{Ip: &types.CustomizationFixedIp{IpAddress: "10.9.8.7"}, SubnetMask: "255.255.255.0"}}},
	}))
	c.must(vm.PowerOn(c.ctx))
	if ip := c.props(vm, "guest.ipAddress").Guest.IpAddress; ip != "10.9.8.7" {
		t.Errorf("customized to %q", ip)
	}
	c.ok(c.s.Tools("x", true))
	m := c.props(vm, "guest", "guestHeartbeatStatus")
	if m.GuestHeartbeatStatus != types.ManagedEntityStatusGreen || m.Guest.IpAddress != "10.9.8.7" || m.Guest.ToolsRunningStatus != "guestToolsRunning" {
		t.Errorf("%s %+v", m.GuestHeartbeatStatus, m.Guest)
	}
	c.ok(c.s.Tools("x", true, "10.0.0.1"))
	if m = c.props(vm, "guest"); m.Guest.Net[0].IpAddress[0] != "10.0.0.1" {
		t.Errorf("%+v", m.Guest.Net)
	}
	c.ok(vm.ShutdownGuest(c.ctx))
	c.ok(vm.WaitForPowerState(c.ctx, types.VirtualMachinePowerStatePoweredOff))
	if m = c.props(vm, "guest", "guestHeartbeatStatus"); m.Guest.IpAddress != "" || m.GuestHeartbeatStatus != types.ManagedEntityStatusGray {
		t.Errorf("off: %+v", m.Guest)
	}
	pc, err := object.NewVirtualMachine(c.Client.Client, vm.Reference()).PowerState(c.ctx)
	c.ok(err)
	if pc != types.VirtualMachinePowerStatePoweredOff {
		t.Error(pc)
	}
}
