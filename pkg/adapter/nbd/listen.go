package nbd

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"strings"
)

// Serving is a server of some exports at one address, until Close.
type Serving struct {
	addr   net.Addr
	tls    bool
	stop   context.CancelFunc
	served chan error
}

// Serve serves exports at addr: a host and port, or the path of a unix socket,
// which begins with a slash. A socket that is there already is replaced, and
// only the owner may connect to it. On a socket cfg.TLS is not used.
func Serve(addr string, cfg Config, exports ...Export) (*Serving, error) {
	if strings.HasPrefix(addr, "/") {
		cfg.TLS = nil
	}
	s := New(cfg)
	for _, e := range exports {
		if err := s.AddExport(e); err != nil {
			return nil, err
		}
	}
	l, err := listen(addr)
	if err != nil {
		return nil, failed("serve exports", addr, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	x := &Serving{addr: l.Addr(), tls: cfg.TLS != nil, stop: stop, served: make(chan error, 1)}
	go func() { x.served <- s.Serve(ctx, l) }()
	return x, nil
}

func listen(addr string) (net.Listener, error) {
	if !strings.HasPrefix(addr, "/") {
		return net.Listen("tcp", addr)
	}
	if err := os.Remove(addr); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", addr)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(addr, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// URI is how NBD clients address an export.
func (x *Serving) URI(export string) string {
	if x.addr.Network() == "unix" {
		return (&url.URL{Scheme: "nbd+unix", Path: "/" + export, RawQuery: "socket=" + x.addr.String()}).String()
	}
	scheme := "nbd"
	if x.tls {
		scheme = "nbds"
	}
	return (&url.URL{Scheme: scheme, Host: x.addr.String(), Path: "/" + export}).String()
}

// Close ends the connections as Server.RemoveExport does, and returns once no
// export's backend is in use any more.
func (x *Serving) Close() error {
	x.stop()
	return <-x.served
}
