package capture

import (
	"errors"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/block"
)

// export is one disk of a group as its guests' clients see it.
type export struct {
	*guestIO
	id cdp.DiskID
}

var _ block.StatusDevice = export{}

func (e export) Size() int64                               { return e.disks[e.id].Size }
func (e export) ReadAt(p []byte, off int64) error          { return e.read(e.id, p, off) }
func (e export) WriteAt(p []byte, off int64, _ bool) error { return e.write(e.id, p, off) }
func (e export) Trim(off, n int64, _ bool) error           { return e.trim(e.id, off, n) }
func (e export) Flush() error                              { return e.flush(e.id) }
func (e export) Zero(off, n int64, flags block.ZeroFlags) error {
	return e.zero(e.id, off, n, flags&^block.ZeroFUA)
}

func (e export) Status(off, n int64) []block.Extent {
	if dev := e.disks[e.id].dev; dev != nil {
		return dev.Status(off, n)
	}
	return nil
}

// Device is a disk of the group for a server of the caller's.
func (g *Group) Device(id cdp.DiskID) block.StatusDevice { return export{&g.guests, id} }

// serve serves the group's disks at the addresses of its job.
func (g *Group) serve(with DiskServers) (servers []DiskServer, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(servers))
		}
	}()
	for _, at := range g.job.Listen {
		var disks []ServedDisk
		for _, d := range g.disks {
			disks = append(disks, ServedDisk{Group: g.job.Group, Name: d.Name, Device: g.Device(d.ID), Shared: g.job.Mode == cdp.Inline,
				Connected: func() { g.clientCame(d.ID) }, Disconnected: func(clean bool) { g.clientGone(d.ID, clean) }})
		}
		s, err := with.Serve(at, disks, func(err error) { g.notes.add(err) })
		if err != nil {
			return servers, cdp.Wrap(err, "serve", string(g.job.Group))
		}
		servers = append(servers, s)
	}
	return servers, nil
}

func closeAll(servers []DiskServer) error {
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
