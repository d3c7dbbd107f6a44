package node

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/services/capture"
)

// tapServers serve the disks of captured groups over NBD; over TCP with the
// site's certificate, if it has one.
type tapServers struct{ e *env }

var _ capture.DiskServers = tapServers{}

func (x tapServers) URI(at capture.Listen, disk string) string {
	switch {
	case at.Network == "unix":
		return "nbd+unix:///" + disk + "?socket=" + at.Address
	case x.e.tls.None():
		return "nbd://" + at.Address + "/" + disk
	default:
		return "nbds://" + at.Address + "/" + disk
	}
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
	s := &tapServer{done: make(chan struct{})}
	l, err := s.listen(at)
	if err != nil {
		return nil, errors.Join(err, s.unlock())
	}
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

// tapServer serves the disks of one group at one address.
type tapServer struct {
	cancel context.CancelFunc
	done   chan struct{}
	lock   *os.File // of a unix socket
}

// listen binds an address. A unix socket that an earlier process left is
// replaced; a lock beside it keeps two processes from doing so to each other.
func (s *tapServer) listen(at capture.Listen) (net.Listener, error) {
	fail := func(kind cdp.Kind, err error, hint string) (net.Listener, error) {
		return nil, &cdp.Error{Op: "listen", Kind: kind, Subject: at.Address, Cause: err, Hint: hint}
	}
	if at.Network == "unix" {
		if err := os.MkdirAll(filepath.Dir(at.Address), 0o700); err != nil {
			return fail(cdp.Transient, err, "")
		}
		var err error
		if s.lock, err = os.OpenFile(at.Address+".lock", os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600); err != nil {
			return fail(cdp.Transient, err, "")
		}
		if err := unix.Flock(int(s.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			return fail(cdp.Conflict, err, "another process serves this socket")
		}
		os.Remove(at.Address)
	}
	l, err := net.Listen(at.Network, at.Address)
	if err != nil {
		kind := cdp.Transient
		if errors.Is(err, unix.EINVAL) {
			kind = cdp.Invalid
		}
		return fail(kind, err, "")
	}
	if at.Network == "unix" {
		os.Chmod(at.Address, 0o600)
	}
	return l, nil
}

func (s *tapServer) unlock() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

// Close implements capture.DiskServer.
func (s *tapServer) Close() error {
	s.cancel()
	<-s.done
	return s.unlock()
}
