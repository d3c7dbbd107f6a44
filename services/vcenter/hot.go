package vcenter

import (
	"context"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// devices are those of the Site's directory, unless others are given.
func (s *Service) devices(ctx context.Context) (Devices, error) {
	if s.deps.Devices != nil {
		return s.deps.Devices, nil
	}
	site, err := s.deps.Site(ctx)
	if err != nil {
		return nil, err
	}
	return DiskDevices{Dir: site.Devices, Wait: s.cfg.DeviceWait}, nil
}

// plugIn attaches disks to the transporter and gives their UUIDs and where they
// are, in order. Done already, it only tells.
func (s *Service) plugIn(ctx context.Context, vc VCenter, plugs []inventory.Plug) (uuids, paths []string, err error) {
	const op = "attach to transporter"
	t, err := s.transporter(ctx, vc)
	if err != nil {
		return nil, nil, err
	}
	if t.Power != inventory.PoweredOn {
		return nil, nil, cdp.Errorf(cdp.Conflict, op, t.Name, "it is not powered on")
	}
	dev, err := s.devices(ctx)
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

// pullOut detaches those of the transporter's disks that are meant: the system
// forgets the device first, else what it still has to write is lost.
func (s *Service) pullOut(ctx context.Context, vc VCenter, meant func(inventory.Disk) bool) error {
	const op = "detach from transporter"
	t, err := s.transporter(ctx, vc)
	if err != nil {
		return err
	}
	dev, err := s.devices(ctx)
	if err != nil {
		return err
	}
	var files []string
	for _, d := range t.Hardware.Disks {
		if !meant(d) {
			continue
		}
		if err := dev.Release(ctx, d.UUID); err != nil {
			return cdp.Wrap(err, op, d.File)
		}
		files = append(files, d.File)
	}
	if len(files) == 0 {
		return nil
	}
	return cdp.Wrap(vc.Unplug(ctx, t.Ref, files), op, t.Name)
}

// withFile means the disks of these files.
func withFile(files []string) func(inventory.Disk) bool {
	return func(d inventory.Disk) bool { return slices.Contains(files, d.File) }
}
