package vsphere

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/contract/inventory"
)

// bay are the disk slots of a VM: those taken, and those assigned in the current
// change.
type bay struct {
	vmx         int
	controllers []inventory.Controller
	taken       map[place]bool
	added       []types.BaseVirtualDevice
}

type place struct{ controller, unit int32 }

// busKeys is the first temporary key of controllers, diskKeys that of disks.
const (
	busKeys  int32 = -100
	diskKeys int32 = -200
)

func newBay(devices []types.BaseVirtualDevice, version string) *bay {
	b := &bay{vmx: vmxNumber(version), controllers: controllersOf(devices), taken: map[place]bool{}}
	for _, d := range devices {
		if v := d.GetVirtualDevice(); v.UnitNumber != nil {
			b.taken[place{v.ControllerKey, *v.UnitNumber}] = true
		}
	}
	return b
}

// at takes the slot at an address, such as scsi0:1.
func (b *bay) at(address string) (place, error) {
	cls, bus, unit, err := parseAddress(address)
	if err != nil {
		return place{}, err
	}
	for _, c := range b.controllers {
		if class(c.Kind) != cls || c.Bus != bus {
			continue
		}
		p := place{c.Key, unit}
		switch {
		case unit >= unitsOf(c.Kind, b.vmx), cls == "scsi" && unit == 7:
			return p, fmt.Errorf("the controller %s%d (%s) has no slot %d", cls, bus, c.Kind, unit)
		case b.taken[p]:
			return p, fmt.Errorf("the slot %s is taken by another disk", address)
		}
		b.taken[p] = true
		return p, nil
	}
	return place{}, fmt.Errorf("it has no controller %s%d", cls, bus)
}

// any takes the next free slot of a pvscsi controller, and adds a controller if
// there is none.
func (b *bay) any() (place, error) {
	used := map[int32]bool{}
	for _, c := range b.controllers {
		if class(c.Kind) == "scsi" {
			used[c.Bus] = true
		}
		if c.Kind != "pvscsi" {
			continue
		}
		for unit := range unitsOf(c.Kind, b.vmx) {
			if p := (place{c.Key, unit}); unit != 7 && !b.taken[p] {
				b.taken[p] = true
				return p, nil
			}
		}
	}
	for bus := range int32(4) {
		if used[bus] {
			continue
		}
		c := inventory.Controller{Kind: "pvscsi", Bus: bus, Key: busKeys - bus}
		b.controllers = append(b.controllers, c)
		b.added = append(b.added, newController(c))
		return b.any()
	}
	return place{}, fmt.Errorf("all disk slots of its pvscsi controllers are taken")
}

func parseAddress(s string) (cls string, bus, unit int32, err error) {
	for _, cls := range []string{"scsi", "nvme", "sata", "ide"} {
		rest, ok := strings.CutPrefix(s, cls)
		if !ok {
			continue
		}
		left, right, ok := strings.Cut(rest, ":")
		b, err1 := strconv.ParseUint(left, 10, 8)
		u, err2 := strconv.ParseUint(right, 10, 8)
		if ok && err1 == nil && err2 == nil {
			return cls, int32(b), int32(u), nil
		}
	}
	return "", 0, 0, fmt.Errorf("%q is no address of a disk; write it as scsi0:1", s)
}
