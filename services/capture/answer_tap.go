package capture

import (
	"context"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// ofDisk answers what the client of a tap says of one disk, named in the request.
func (s *Service) ofDisk(do func(*Group, cdp.DiskID) error) api.Endpoint {
	return api.Answer(func(_ context.Context, r api.DiskRequest) (any, error) {
		g, d, err := s.disk(r)
		if err != nil {
			return nil, err
		}
		return api.Empty{}, do(g, d)
	})
}

// disk finds a disk of a group that runs, by its name.
func (s *Service) disk(r api.DiskRequest) (*Group, cdp.DiskID, error) {
	g, err := s.groups.Group(r.Group)
	if err != nil {
		return nil, 0, err
	}
	j, _ := s.jobs.get(r.Group)
	for i, d := range j.Source.Disks {
		if strings.EqualFold(d.Name, r.Disk) {
			return g, cdp.DiskID(i), nil
		}
	}
	return nil, 0, cdp.Errorf(cdp.NotFound, "find disk", r.Disk, "job %s has no such disk", r.Group)
}

// HandleSynced handles capture.synced: the copy of a tap's client is complete.
func (s *Service) HandleSynced(_ context.Context, e event.Event) error {
	var p event.CaptureSynced
	if err := e.Into(&p); err != nil {
		return err
	}
	g, d, err := s.disk(api.DiskRequest{Group: p.Group, Disk: p.Disk})
	if err != nil {
		return err
	}
	return g.Synced(d)
}
