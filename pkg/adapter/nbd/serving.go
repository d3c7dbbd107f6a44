package nbd

import (
	"context"
	"net"
	"strings"
	"sync"
)

// Serving is a server of some exports at one address, until Close.
type Serving struct {
	srv    *Server
	addr   net.Addr
	tls    bool
	stop   context.CancelFunc
	served chan error
	ended  sync.Once
	err    error
}

// Serve serves exports at addr, as Listen does. On a unix socket cfg.TLS is not
// used.
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
	l, err := Listen(addr)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	x := &Serving{srv: s, addr: l.Addr(), tls: cfg.TLS != nil, stop: stop, served: make(chan error, 1)}
	go func() { x.served <- s.Serve(ctx, l) }()
	return x, nil
}

// URI is how NBD clients address an export.
func (x *Serving) URI(export string) string {
	return URI(x.addr.Network(), x.addr.String(), export, x.tls)
}

// Close ends the connections as Server.RemoveExport does, and returns once no
// export's backend is in use any more. Closing it again does nothing.
func (x *Serving) Close() error {
	x.ended.Do(func() {
		x.stop()
		x.err = <-x.served
	})
	return x.err
}
