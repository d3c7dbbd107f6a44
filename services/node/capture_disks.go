package node

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"

	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/services/capture"
)

// tapServers serve the disks of captured groups over NBD; over TCP with the
// site's certificate, if it has one.
type tapServers struct{ e *env }

var _ capture.DiskServers = tapServers{}

func (x tapServers) URI(at capture.Listen, disk string) string {
	return nbd.URI(at.Network, at.Address, disk, !x.e.tls.None())
}

func (x tapServers) Ready(at capture.Listen) error {
	_, err := x.tls(at)
	return err
}

// tls is what clients of an address have to show and are shown; nil: nothing.
func (x tapServers) tls(at capture.Listen) (*tls.Config, error) {
	if at.Network != "tcp" {
		return nil, nil
	}
	return x.e.nbdTLS()
}

func (x tapServers) Serve(at capture.Listen, disks []capture.ServedDisk, failed func(error)) (capture.DiskServer, error) {
	auth, err := x.tls(at)
	if err != nil {
		return nil, err
	}
	srv := nbd.New(nbd.Config{TLS: auth, Events: func(e nbd.Event) {
		if e.Kind == nbd.EventRefused && e.Err != nil {
			failed(e.Err)
		}
	}})
	for _, d := range disks {
		err := srv.AddExport(nbd.Export{Name: d.Name, Backend: d.Device, MultiConn: d.Shared,
			OnConnect:    func(nbd.Peer) error { d.Connected(); return nil },
			OnDisconnect: func(_ nbd.Peer, clean bool) { d.Disconnected(clean) }})
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

// listen makes the folder of a unix socket, and listens.
func (x tapServers) listen(at capture.Listen) (net.Listener, error) {
	address, err := x.e.places.socket(at.Address)
	if err != nil {
		return nil, err
	}
	if at.Network == "unix" {
		if err := os.MkdirAll(filepath.Dir(address), 0o700); err != nil {
			return nil, &cdp.Error{Op: "listen", Kind: cdp.Transient, Subject: at.Address, Cause: err}
		}
	}
	return nbd.Listen(address)
}

func (x tapServers) Look(address string) api.DiskFacts {
	if filepath.IsAbs(address) {
		return looker(x.e.places.sockets)(address, false)
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
