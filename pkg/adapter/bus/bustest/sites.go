package bustest

import (
	"context"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
)

// Sites is a pair of sites: prod, the source, joined to dr, the target.
type Sites struct {
	t    testing.TB
	Prod *bus.Server
	DR   *bus.Server
	Link *Proxy

	prod, dr bus.ServerConfig
}

// Option changes how the servers are started.
type Option func(prod, dr *bus.ServerConfig)

// Start starts both servers, joins them, makes their streams and buckets, and
// lets each follow the other. All of it ends with the test.
func Start(t testing.TB, opts ...Option) *Sites {
	t.Helper()
	return start(t, true, opts)
}

// Apart is Start with a link that is cut until Heal.
func Apart(t testing.TB, opts ...Option) *Sites {
	t.Helper()
	return start(t, false, opts)
}

func start(t testing.TB, joined bool, opts []Option) *Sites {
	t.Helper()
	s := &Sites{t: t}
	s.dr = bus.ServerConfig{Site: "dr", StoreDir: t.TempDir(), Listen: freePort(t), LeafListen: freePort(t), Peers: []cdp.Site{"prod"}}
	s.prod = bus.ServerConfig{Site: "prod", StoreDir: t.TempDir(), Listen: freePort(t), Peers: []cdp.Site{"dr"}}
	s.Link = NewProxy(t, s.dr.LeafListen)
	s.prod.LeafRemotes = []string{"nats-leaf://" + s.Link.Addr()}
	for _, o := range opts {
		o(&s.prod, &s.dr)
	}
	t.Cleanup(func() {
		for _, x := range []*bus.Server{s.Prod, s.DR} {
			if x != nil {
				x.Close()
			}
		}
	})
	if !joined {
		s.Link.Cut()
	}
	s.StartDR()
	s.StartProd()
	if joined {
		s.Joined()
	}
	for _, x := range []struct{ srv, peer *bus.Server }{{s.Prod, s.DR}, {s.DR, s.Prod}} {
		c := s.connect(x.srv, subjects.Setup)
		if err := bus.EnsureSite(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := bus.EnsurePeer(t.Context(), c, x.peer.Site()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- bus.FollowPeer(ctx, c, x.peer.Site()) }()
		t.Cleanup(func() { cancel(); <-done })
	}
	return s
}

// Secured gives both sites credentials: every service has its role's
// permissions only.
func Secured(prod, dr *bus.ServerConfig) {
	prod.Credentials = bus.NewCredentials(prod.Site, bus.Credential{})
	dr.Credentials = bus.NewCredentials(dr.Site, prod.Credentials.Leaf)
}

// Joined waits until the leaf connection stands.
func (s *Sites) Joined() {
	s.t.Helper()
	Eventually(s.t, "joined", func() bool { return s.Prod.Joined() > 0 && s.DR.Joined() > 0 })
}

// StartProd starts the source site's server again after Prod.Close.
func (s *Sites) StartProd() { s.Prod = s.start(s.prod) }

// StartDR starts the target site's server again after DR.Close.
func (s *Sites) StartDR() { s.DR = s.start(s.dr) }

func (s *Sites) start(cfg bus.ServerConfig) *bus.Server {
	s.t.Helper()
	srv, err := bus.StartServer(s.t.Context(), cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return srv
}

// Connect connects a service to a site over TCP, so that the connection
// outlives a restart of the server.
func (s *Sites) Connect(site cdp.Site, service string) *bus.Conn {
	s.t.Helper()
	srv := s.Prod
	if site == s.dr.Site {
		srv = s.DR
	}
	return s.connect(srv, service)
}

func (s *Sites) connect(srv *bus.Server, service string) *bus.Conn {
	s.t.Helper()
	cfg := bus.Config{Site: srv.Site(), Name: service, URL: srv.ClientURL(), Credential: s.Credential(srv.Site(), service), TLS: s.prod.TLS}
	if srv.Site() == s.dr.Site {
		cfg.TLS = s.dr.TLS
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	c, err := bus.Connect(ctx, cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

// Credential is the service's user at a site; empty if the sites are open.
func (s *Sites) Credential(site cdp.Site, service string) bus.Credential {
	creds := s.prod.Credentials
	if site == s.dr.Site {
		creds = s.dr.Credentials
	}
	if creds == nil {
		return bus.Credential{}
	}
	return creds.Users[service]
}

// Eventually waits up to a minute for ok.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within a minute: %s", what)
}

// freePort is an address that stays free while nobody listens there, before a
// server is started and while it is down: everybody else on this machine who
// lets the system choose a port does so at 127.0.0.1.
func freePort(t testing.TB) string {
	host := net.IPv4(127, byte(1+rand.IntN(254)), byte(rand.IntN(256)), byte(1+rand.IntN(254)))
	l, err := net.Listen("tcp", net.JoinHostPort(host.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
