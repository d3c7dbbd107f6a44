package vcenter

import (
	"context"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/inventory"
)

// hotadd attaches disks to this site's transporter, where they are block devices.
type hotadd struct {
	site  func(context.Context) (Site, error)
	cache *inventoryCache
	// devices are used instead of those in the Site's directory; nil: those.
	devices Devices
	wait    time.Duration // for a device to come or go
	clock   clock.Clock
}

// slots is what hotadd needs of a vCenter.
type slots interface {
	VMReader
	DiskSlots
}

const hintTransporter = "set spec.vsphere.transporter of the Site to the VM that tidemark runs on"

// uuid is the instance UUID of the VM that this service runs on.
func (h *hotadd) uuid(ctx context.Context) (string, error) {
	const op = "find transporter"
	site, err := h.site(ctx)
	if err != nil {
		return "", err
	}
	if site.Transporter == "" {
		return "", cdp.Errorf(cdp.NotFound, op, string(site.Name), "the Site names none").WithHint(hintTransporter)
	}
	inv, err := h.cache.recent(ctx)
	if err != nil {
		return "", err
	}
	v, why := inv.FindVM(site.Transporter)
	if why != "" {
		return "", cdp.Errorf(cdp.NotFound, op, site.Transporter, "%s", why).WithHint(hintTransporter)
	}
	return v.UUID, nil
}

// transporter is the VM that this service runs on, as it is now.
func (h *hotadd) transporter(ctx context.Context, vc VMReader) (inventory.VM, error) {
	uuid, err := h.uuid(ctx)
	if err != nil {
		return inventory.VM{}, err
	}
	now, err := vc.VM(ctx, uuid)
	return now, cdp.Wrap(err, "find transporter", uuid)
}

// machine is transporter without what only people want to know, in one call.
func (h *hotadd) machine(ctx context.Context, vc VMReader) (inventory.VM, error) {
	uuid, err := h.uuid(ctx)
	if err != nil {
		return inventory.VM{}, err
	}
	now, err := vc.Machines(ctx, uuid)
	if err != nil {
		return inventory.VM{}, cdp.Wrap(err, "find transporter", uuid)
	}
	return now[0], nil
}

func (h *hotadd) devicesOf(ctx context.Context) (Devices, error) {
	if h.devices != nil {
		return h.devices, nil
	}
	site, err := h.site(ctx)
	if err != nil {
		return nil, err
	}
	return DiskDevices{Dir: site.Devices, Wait: h.wait, Clock: h.clock}, nil
}

// attach attaches disks to the transporter and returns their UUIDs and the paths of
// their block devices, in order. It is idempotent.
func (h *hotadd) attach(ctx context.Context, vc slots, plugs []inventory.Plug) (uuids, paths []string, err error) {
	t, err := h.machine(ctx, vc)
	if err != nil {
		return nil, nil, err
	}
	return h.attachTo(ctx, vc, t, plugs)
}

// attachTo is attach for a transporter that was just read.
func (h *hotadd) attachTo(ctx context.Context, vc DiskSlots, t inventory.VM, plugs []inventory.Plug) (uuids, paths []string, err error) {
	const op = "attach to transporter"
	if t.Power != inventory.PoweredOn {
		return nil, nil, cdp.Errorf(cdp.Conflict, op, t.Name, "it is not powered on")
	}
	dev, err := h.devicesOf(ctx)
	if err != nil {
		return nil, nil, err
	}
	if uuids, err = vc.Plug(ctx, t.Ref, plugs); err != nil {
		return nil, nil, cdp.Wrap(err, op, t.Name)
	}
	for _, u := range uuids {
		p, err := dev.Path(ctx, u)
		if err != nil {
			return nil, nil, cdp.Wrap(err, op, t.Name)
		}
		paths = append(paths, p)
	}
	return uuids, paths, nil
}

// extend makes a disk that is attached to the transporter, and its device, at least
// size bytes long.
func (h *hotadd) extend(ctx context.Context, vc slots, file, uuid string, size int64) error {
	const op = "extend at transporter"
	t, err := h.transporter(ctx, vc)
	if err != nil {
		return err
	}
	dev, err := h.devicesOf(ctx)
	if err == nil {
		err = vc.Extend(ctx, t.Ref, file, size)
	}
	if err == nil {
		err = dev.Grown(ctx, uuid, size)
	}
	return cdp.Wrap(err, op, t.Name)
}

// detach detaches the transporter's disks that which selects. The operating system
// releases each device first, so that it writes everything it still holds.
func (h *hotadd) detach(ctx context.Context, vc slots, which func(inventory.Disk) bool) error {
	t, err := h.machine(ctx, vc)
	if err != nil {
		return err
	}
	_, err = h.detachFrom(ctx, vc, t, which)
	return err
}

// detachFrom is detach for a transporter that was just read. It reports whether it
// detached anything.
func (h *hotadd) detachFrom(ctx context.Context, vc DiskSlots, t inventory.VM, which func(inventory.Disk) bool) (bool, error) {
	const op = "detach from transporter"
	dev, err := h.devicesOf(ctx)
	if err != nil {
		return false, err
	}
	var files []string
	for _, d := range t.Hardware.Disks {
		if !which(d) {
			continue
		}
		if err := dev.Release(ctx, d.UUID); err != nil {
			return false, cdp.Wrap(err, op, d.File)
		}
		files = append(files, d.File)
	}
	if len(files) == 0 {
		return false, nil
	}
	return true, cdp.Wrap(vc.Unplug(ctx, t.Ref, files), op, t.Name)
}

// withFile selects the disks with these files.
func withFile(files []string) func(inventory.Disk) bool {
	return func(d inventory.Disk) bool { return slices.Contains(files, d.File) }
}
