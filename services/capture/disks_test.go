package capture

import (
	"context"
	"net"
	"path/filepath"

	"tidemark.dev/pkg/adapter/blockfile"
	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/contract/api"
)

// openFile resolves links first, as the product does.
func openFile(path string, readOnly bool) (Disk, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return blockfile.Open(path, readOnly)
}

// nbdServers serve disks over NBD.
type nbdServers struct{}

func (nbdServers) Serve(at Listen, disks []ServedDisk, failed func(error)) (DiskServer, error) {
	s := nbd.New(nbd.Config{})
	for _, d := range disks {
		err := s.AddExport(nbd.Export{Name: d.Name, Backend: d.Device, MultiConn: d.Shared,
			OnConnect:    func(nbd.Peer) error { d.Connected(); return nil },
			OnDisconnect: func(_ nbd.Peer, clean bool) { d.Disconnected(clean) }})
		if err != nil {
			return nil, err
		}
	}
	l, err := net.Listen(at.Network, at.Address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	return serving{s, func() error { cancel(); return <-done }}, nil
}

func (nbdServers) Ready(Listen) error { return nil }

func (nbdServers) Look(address string) api.DiskFacts {
	return api.DiskFacts{Path: address, Kind: api.PathMissing}
}

func (nbdServers) URI(at Listen, disk string) string {
	return "nbd+unix:///" + disk + "?socket=" + at.Address
}

type serving struct {
	*nbd.Server
	end func() error
}

func (s serving) Close() error { return s.end() }
