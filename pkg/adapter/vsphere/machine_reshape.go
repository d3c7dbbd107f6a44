package vsphere

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// Reshape makes a powered-off VM like h: its CPUs, memory, firmware, guest id,
// controllers, NICs and settings, but not its disks. networks are by NIC of h.
// Other settings and controllers stay. The hardware version is raised, never
// lowered. Nothing is done if nothing differs.
func (c *Client) Reshape(ctx context.Context, vm inventory.Ref, h inventory.Hardware, networks map[int32]inventory.Ref) error {
	const op = "reshape a VM"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	unlock, err := c.exclusive(ctx, op, ref)
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.mustBeOff(ctx, op, ref); err != nil {
		return err
	}
	m, err := c.config(ctx, op, ref)
	if err != nil {
		return err
	}
	if vmxNumber(h.Version) > vmxNumber(m.Config.Version) {
		_, err := c.task(ctx, op, ref.String(), func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
			return object.NewVirtualMachine(v, ref).UpgradeVM(ctx, h.Version)
		})
		if err != nil {
			return err
		}
	}
	return c.rework(ctx, op, ref, func(m mo.VirtualMachine) (*types.VirtualMachineConfigSpec, error) {
		spec, differs := shape(hardwareOf(m.Config), h)
		buses, err := newBuses(m.Config.Hardware.Device, h.Controllers)
		if err != nil {
			return nil, cdp.Wrap(err, op, ref.String())
		}
		cards, err := c.recards(ctx, op, m, h.NICs, networks)
		if err != nil {
			return nil, err
		}
		spec.DeviceChange = append(buses, cards...)
		want := h.Extra
		if settings(m)[settingKeepMAC] != "" {
			want = anyMAC(h.NICs)
			maps.Copy(want, h.Extra)
		}
		spec.ExtraConfig = changedSettings(settings(m), want)
		if !differs && len(spec.DeviceChange) == 0 && len(spec.ExtraConfig) == 0 {
			return nil, nil
		}
		return &spec, nil
	})
}

// shape are the differences besides devices and settings.
func shape(has, want inventory.Hardware) (spec types.VirtualMachineConfigSpec, differs bool) {
	if want.CPUs != 0 && has.CPUs != want.CPUs {
		spec.NumCPUs, differs = want.CPUs, true
	}
	if max(has.PerSocket, 1) != max(want.PerSocket, 1) {
		spec.NumCoresPerSocket, differs = types.NewInt32(max(want.PerSocket, 1)), true
	}
	if want.MemoryMB != 0 && has.MemoryMB != want.MemoryMB {
		spec.MemoryMB, differs = want.MemoryMB, true
	}
	if want.Firmware != "" && has.Firmware != want.Firmware {
		spec.Firmware, differs = want.Firmware, true
	}
	if want.GuestID != "" && has.GuestID != want.GuestID {
		spec.GuestId, differs = want.GuestID, true
	}
	if has.SecureBoot != want.SecureBoot {
		spec.BootOptions, differs = &types.VirtualMachineBootOptions{EfiSecureBootEnabled: types.NewBool(want.SecureBoot)}, true
	}
	return spec, shapeOptions(&spec, has, want) || differs
}

// shapeOptions sets the options of CPUs and memory that differ.
func shapeOptions(spec *types.VirtualMachineConfigSpec, has, want inventory.Hardware) (differs bool) {
	set := func(has, want bool) *bool {
		if has == want {
			return nil
		}
		differs = true
		return types.NewBool(want)
	}
	spec.NestedHVEnabled = set(has.NestedHV, want.NestedHV)
	spec.CpuHotAddEnabled = set(has.CPUHotAdd, want.CPUHotAdd)
	spec.MemoryHotAddEnabled = set(has.MemoryHotAdd, want.MemoryHotAdd)
	if vbs, iommu := set(has.VBS, want.VBS), set(has.IOMMU, want.IOMMU); vbs != nil || iommu != nil {
		spec.Flags = &types.VirtualMachineFlagInfo{VbsEnabled: vbs, VvtdEnabled: iommu}
	}
	return differs
}

// newBuses adds missing controllers. A controller of another kind is replaced if no
// disk is attached to it, and a Conflict otherwise.
func newBuses(devices []types.BaseVirtualDevice, want []inventory.Controller) ([]types.BaseVirtualDeviceConfigSpec, error) {
	var out []types.BaseVirtualDeviceConfigSpec
	has := controllersOf(devices)
	for i, w := range want {
		at := slices.IndexFunc(has, func(c inventory.Controller) bool { return class(c.Kind) == class(w.Kind) && c.Bus == w.Bus })
		if at >= 0 && has[at].Kind == w.Kind {
			continue
		}
		key := w.Key
		w.Key = busKeys - int32(i)
		d := newController(w)
		if d == nil {
			continue
		}
		if at >= 0 {
			for _, d := range devices {
				if d.GetVirtualDevice().ControllerKey == has[at].Key {
					return nil, cdp.Errorf(cdp.Conflict, "change a controller", class(w.Kind)+itoa(int(w.Bus)),
						"it is %s, has to be %s (device %d of the source), and %s is plugged in", has[at].Kind, w.Kind, key, labelOf(d)).
						WithHint("detach its disks first")
				}
			}
			old := object.VirtualDeviceList(devices).FindByKey(has[at].Key)
			out = append(out, change(types.VirtualDeviceConfigSpecOperationRemove, old))
		}
		out = append(out, change(types.VirtualDeviceConfigSpecOperationAdd, d))
	}
	return out, nil
}

// recards makes a VM's NICs like want. NICs correspond by their order, because a
// guest and a customization identify them by it. NICs of the same kind (and MAC
// address, where that is kept) are edited; if the order would change, all are
// recreated.
func (c *Client) recards(ctx context.Context, op string, m mo.VirtualMachine, want []inventory.NIC, networks map[int32]inventory.Ref) ([]types.BaseVirtualDeviceConfigSpec, error) {
	subject := m.Self.String()
	has := cardsOf(m.Config.Hardware.Device)
	keep := settings(m)[settingKeepMAC] != ""
	same := 0
	for same < min(len(has), len(want)) && likeCard(has[same], want[same], keep) {
		same++
	}
	if same < min(len(has), len(want)) || (same < len(want) && !dense(has)) {
		same = 0
	}
	var out []types.BaseVirtualDeviceConfigSpec
	for _, d := range has[same:] {
		out = append(out, change(types.VirtualDeviceConfigSpecOperationRemove, d.(types.BaseVirtualDevice)))
	}
	for i, n := range want[:same] {
		net, ok := networks[n.Key]
		if !ok {
			return nil, cdp.Errorf(cdp.Invalid, op, subject, "no network is given for %s on %q", nicName(n), n.NetName).
				WithHint("map that network")
		}
		backing, err := c.backing(ctx, op, net)
		if err != nil {
			return nil, err
		}
		card := has[i].GetVirtualEthernetCard()
		connects := card.Connectable != nil && card.Connectable.StartConnected
		if sameBacking(card.Backing, backing) && connects == n.Connected {
			continue
		}
		card.Backing, card.SubnetId = backing, ""
		card.Connectable = &types.VirtualDeviceConnectInfo{StartConnected: n.Connected, AllowGuestControl: true}
		out = append(out, change(types.VirtualDeviceConfigSpecOperationEdit, has[i].(types.BaseVirtualDevice)))
	}
	adds, err := c.cards(ctx, op, subject, want[same:], networks, keep)
	return append(out, adds...), err
}

func likeCard(has types.BaseVirtualEthernetCard, want inventory.NIC, keepMAC bool) bool {
	return nicKind(has.(types.BaseVirtualDevice)) == want.Kind &&
		(!keepMAC || want.MAC == "" || strings.EqualFold(has.GetVirtualEthernetCard().MacAddress, want.MAC))
}

// dense reports whether there is no free slot between the cards, so that an added
// card comes last.
func dense(cards []types.BaseVirtualEthernetCard) bool {
	for i, d := range cards {
		u := d.GetVirtualEthernetCard().UnitNumber
		if u == nil || *u != 7+int32(i) {
			return false
		}
	}
	return true
}
