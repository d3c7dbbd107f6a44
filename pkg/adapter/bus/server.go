package bus

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"tidemark.dev/pkg/cdp"
)

// ServerConfig describes one site's embedded NATS server.
type ServerConfig struct {
	Site     cdp.Site // also the JetStream domain
	StoreDir string
	// Listen is host:port for clients; empty means in-process only. Port 0 or
	// -1 picks a free one.
	Listen string
	// LeafListen is host:port where peers' leaf connections arrive; empty: none.
	LeafListen string
	// Links are the peers that this site is linked with.
	Links []Link
	// TLS secures clients and leaf connections, with both ends verified.
	TLS TLSFiles
	// MaxStore bounds JetStream's files, in bytes. Default 64 GiB.
	MaxStore int64
	// SyncInterval is how long a message may wait for the disk. Default 10s.
	SyncInterval time.Duration
	// Credentials, when set, give every service its own user with the
	// permissions of its role; without them everybody may do everything.
	Credentials *Credentials
}

// openUser is everybody, at a server without Credentials.
const openUser = "open"

// Server is a running embedded NATS server.
type Server struct {
	site cdp.Site
	ns   *server.Server
}

// StartServer starts the server and waits until it takes connections; ctx
// bounds only that wait. Close stops it.
func StartServer(ctx context.Context, cfg ServerConfig) (*Server, error) {
	const op = "start server"
	if err := cdp.CheckName("site", string(cfg.Site)); err != nil {
		return nil, cdp.Wrap(err, op, string(cfg.Site))
	}
	opts, err := cfg.options()
	if err != nil {
		return nil, cdp.Wrap(err, op, string(cfg.Site))
	}
	ns, err := server.NewServer(opts)
	if err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: string(cfg.Site), Cause: err}
	}
	s := &Server{site: cfg.Site, ns: ns}
	ns.Start()
	for !ns.ReadyForConnections(50 * time.Millisecond) {
		if ctx.Err() != nil || !ns.Running() {
			s.Close()
			return nil, cdp.Errorf(cdp.Transient, op, string(cfg.Site), "not ready: is %q free and %q writable?", cfg.Listen, cfg.StoreDir)
		}
	}
	if !ns.JetStreamEnabled() {
		s.Close()
		return nil, cdp.Errorf(cdp.Internal, op, string(cfg.Site), "JetStream did not start in %q", cfg.StoreDir)
	}
	return s, nil
}

// Site is the server's site.
func (s *Server) Site() cdp.Site { return s.site }

// ClientURL is where clients connect over the network; empty if they cannot.
func (s *Server) ClientURL() string {
	if s.ns.Addr() == nil {
		return ""
	}
	return s.ns.ClientURL()
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

// Close stops the server and waits until it has.
func (s *Server) Close() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
}

func (cfg ServerConfig) options() (*server.Options, error) {
	opts := &server.Options{
		ServerName: string(cfg.Site), NoLog: true, NoSigs: true, DontListen: cfg.Listen == "",
		JetStream: true, JetStreamDomain: string(cfg.Site), StoreDir: cfg.StoreDir,
		JetStreamMaxMemory: 64 << 20, // consumers' state only; all streams are files
		JetStreamMaxStore:  cfg.MaxStore,
		SyncInterval:       cfg.SyncInterval,
		// A window of frames always fits; what is beyond is refused, not queued.
		StreamMaxBufferedSize:  128 << 20,
		DisableJetStreamBanner: true,
		WriteDeadline:          30 * time.Second,
	}
	if opts.JetStreamMaxStore == 0 {
		opts.JetStreamMaxStore = 64 << 30
	}
	if opts.SyncInterval == 0 {
		opts.SyncInterval = 10 * time.Second
	}
	var err error
	if cfg.Listen != "" {
		if opts.Host, opts.Port, err = hostPort("listen", cfg.Listen); err != nil {
			return nil, err
		}
	}
	opts.LeafNode = server.LeafNodeOpts{
		NoAdvertise: true, ReconnectInterval: time.Second, WriteDeadline: 30 * time.Second,
		DialTimeout: 5 * time.Second,
	}
	if cfg.LeafListen != "" {
		// Who dials decides.
		opts.LeafNode.Compression = server.CompressionOpts{Mode: server.CompressionAccept}
		if opts.LeafNode.Host, opts.LeafNode.Port, err = hostPort("leaf listen", cfg.LeafListen); err != nil {
			return nil, err
		}
	}
	if !cfg.TLS.None() {
		tc, err := cfg.TLS.Config()
		if err != nil {
			return nil, err
		}
		opts.TLS, opts.TLSVerify, opts.TLSConfig, opts.TLSTimeout = true, true, tc, 5
		opts.LeafNode.TLSConfig, opts.LeafNode.TLSTimeout = tc, 5
	}
	if err := cfg.link(opts); err != nil {
		return nil, err
	}
	if cfg.Credentials != nil {
		opts.Users = cfg.Credentials.users(cfg.Site, cfg.peers())
	} else {
		opts.Users = []*server.User{{Username: openUser}}
		opts.NoAuthUser = openUser
	}
	return opts, nil
}

func hostPort(field, s string) (string, int, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, invalid("check", field, "%q: want host:port", s)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < -1 || n > 65535 {
		return "", 0, invalid("check", field, "%q: bad port", s)
	}
	if n == 0 {
		n = -1
	}
	return host, n, nil
}
