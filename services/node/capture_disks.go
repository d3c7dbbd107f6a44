package node

import (
	"context"
	"net"
	"path/filepath"

	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/services/capture"
)

// tapServers serve the disks of captured groups over NBD.
type tapServers struct{ e *env }

var _ capture.DiskServers = tapServers{}

func (x tapServers) URI(at capture.Listen, disk string) string {
	return nbd.URI(at.Network, at.Address, disk, x.e.door().secure())
}

func (x tapServers) Ready(at capture.Listen) error {
	_, err := x.e.door().server(at.Address, 0, nil)
	return err
}

func (x tapServers) Serve(at capture.Listen, disks []capture.ServedDisk, failed func(error)) (capture.DiskServer, error) {
	door := x.e.door()
	cfg, err := door.server(at.Address, len(disks), failed)
	if err != nil {
		return nil, err
	}
	srv := nbd.New(cfg)
	for _, d := range disks {
		err := srv.AddExport(door.export(at.Address, d.Group, nbd.Export{Name: d.Name, Backend: d.Device, MultiConn: d.Shared,
			OnConnect:    func(nbd.Peer) error { d.Connected(); return nil },
			OnDisconnect: func(_ nbd.Peer, clean bool) { d.Disconnected(clean) }}))
		if err != nil {
			return nil, &cdp.Error{Op: "add export", Kind: cdp.Invalid, Subject: d.Name, Cause: err}
		}
	}
	l, err := x.listen(at)
	if err != nil {
		return nil, err
	}
	s := &tapServer{srv: srv, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() {
		defer close(s.done)
		if err := srv.Serve(ctx, l); err != nil {
			failed(err)
		}
	}()
	return s, nil
}

func (x tapServers) listen(at capture.Listen) (net.Listener, error) {
	address, err := x.e.places.socket(at.Address)
	if err != nil {
		return nil, err
	}
	return nbd.Listen(address)
}

func (x tapServers) Look(address string) api.DiskFacts {
	if filepath.IsAbs(address) {
		return looker(x.e.places.sockets)([]string{address}, false)[0]
	}
	if err := x.e.door().check(address); err != nil {
		return api.DiskFacts{Path: address, Kind: api.PathOther, Outside: err.Error()}
	}
	return api.DiskFacts{Path: address, Kind: api.PathMissing}
}

// tapServer serves the disks of one group at one address.
type tapServer struct {
	srv    *nbd.Server
	cancel context.CancelFunc
	done   chan struct{}
}

// Clients implements capture.DiskServer.
func (s *tapServer) Clients() []string { return s.srv.Clients() }

// Close implements capture.DiskServer.
func (s *tapServer) Close() error {
	s.cancel()
	<-s.done
	return nil
}
