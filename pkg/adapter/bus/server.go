package bus

import (
	"context"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"tidemark.dev/pkg/cdp"
)

// Server is a running embedded NATS server.
type Server struct {
	site  cdp.Site
	ns    *server.Server
	opts  *server.Options
	links int // how many there are when all are up
	words words
	aside []string
	said  []string
}

// StartServer starts the server and waits until it takes connections; ctx
// bounds only that wait. Close stops it.
func StartServer(ctx context.Context, cfg ServerConfig) (*Server, error) {
	const op = "start server"
	text, err := cfg.Text()
	if err != nil {
		return nil, cdp.Wrap(err, op, string(cfg.Site))
	}
	return cfg.start(ctx, text)
}

func (cfg ServerConfig) start(ctx context.Context, text string) (*Server, error) {
	const op = "start server"
	opts, err := cfg.options(text)
	if err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: string(cfg.Site), Cause: err}
	}
	s := &Server{site: cfg.Site, opts: opts, links: len(cfg.Links)}
	if s.aside, err = damagedMeta(cfg.StoreDir); err == nil {
		err = setAside(cfg.StoreDir, s.aside)
	}
	if err == nil {
		s.said, err = mendBlocks(cfg.StoreDir)
	}
	if err != nil {
		return nil, cdp.Wrap(err, op, string(cfg.Site))
	}
	ns, err := server.NewServer(opts)
	if err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: string(cfg.Site), Cause: err}
	}
	s.ns = ns
	ns.SetLoggerV2(&s.words, false, false, false)
	ns.Start()
	for !ns.ReadyForConnections(50 * time.Millisecond) {
		if ctx.Err() != nil || !ns.Running() {
			s.Close()
			return nil, cdp.Errorf(cdp.Transient, op, string(cfg.Site), "the server is not ready: check that the address %q is free and %q is writable", cfg.Listen, cfg.StoreDir)
		}
	}
	if !ns.JetStreamEnabled() {
		s.Close()
		return nil, cdp.Errorf(cdp.Internal, op, string(cfg.Site), "JetStream did not start in %q", cfg.StoreDir)
	}
	left, err := unloaded(ns, cfg.StoreDir)
	if err == nil {
		s.aside = append(s.aside, left...)
		err = setAside(cfg.StoreDir, left)
	}
	if err != nil {
		s.Close()
		return nil, cdp.Wrap(err, op, string(cfg.Site))
	}
	return s, nil
}

// SetAside are the files and directories in the store that were damaged, and were
// moved out of the server's way as it started.
func (s *Server) SetAside() []string { return s.aside }

// Mended says which stored messages were damaged, and what became of them.
func (s *Server) Mended() []string { return s.said }

// Site is the server's site.
func (s *Server) Site() cdp.Site { return s.site }

// ClientURL is where clients on this machine connect; empty if they cannot. A server
// that listens at every address is reached at the loopback address, for which there
// can be a certificate.
func (s *Server) ClientURL() string {
	if s.ns.Addr() == nil {
		return ""
	}
	u, err := url.Parse(s.ns.ClientURL())
	if err != nil {
		return s.ns.ClientURL()
	}
	if ip := net.ParseIP(u.Hostname()); ip.IsUnspecified() {
		u.Host = net.JoinHostPort("127.0.0.1", u.Port())
	}
	return u.String()
}

// LeafAddr is host:port of the leaf listener; empty if there is none.
func (s *Server) LeafAddr() string {
	v, err := s.ns.Varz(nil)
	if err != nil || v.LeafNode.Port == 0 {
		return ""
	}
	return net.JoinHostPort(v.LeafNode.Host, strconv.Itoa(v.LeafNode.Port))
}

// Joined is how many leaf connections are up now.
func (s *Server) Joined() int { return s.ns.NumLeafNodes() }

// Close stops the server and waits until it has stopped.
func (s *Server) Close() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
}

// listenAddr checks host:port, and writes a port that is to be chosen as the
// server wants it.
func listenAddr(field, s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", invalid("check", field, "%q: want host:port", s)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < -1 || n > 65535 {
		return "", invalid("check", field, "%q: bad port", s)
	}
	if n == 0 {
		n = -1
	}
	return net.JoinHostPort(host, strconv.Itoa(n)), nil
}
