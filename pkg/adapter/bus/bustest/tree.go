package bustest

import (
	"context"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// Edge is a link of a tree: From dials To.
type Edge struct{ From, To cdp.Site }

// Tree is any number of sites, joined by links through proxies.
type Tree struct {
	t       testing.TB
	edges   []Edge
	order   []cdp.Site // a site that is dialled comes before its dialler
	configs map[cdp.Site]*bus.ServerConfig
	servers map[cdp.Site]*bus.Server
	links   map[Edge]*Proxy
}

// TreeOption changes how a site's server is started.
type TreeOption func(*bus.ServerConfig)

// StartTree starts a server for every site that the edges name, joins them,
// makes their streams and buckets, and lets each follow its peers. All of it
// ends with the test.
func StartTree(t testing.TB, edges []Edge, opts ...TreeOption) *Tree {
	t.Helper()
	tree := newTree(t, edges)
	for _, site := range tree.order {
		for _, o := range opts {
			o(tree.configs[site])
		}
	}
	tree.start(true)
	return tree
}

// Private gives a site credentials: every service has its role's permissions
// only.
func Private(cfg *bus.ServerConfig) { cfg.Credentials = bus.NewCredentials(cfg.Site) }

func newTree(t testing.TB, edges []Edge) *Tree {
	tree := &Tree{t: t, edges: edges, configs: map[cdp.Site]*bus.ServerConfig{}, servers: map[cdp.Site]*bus.Server{}, links: map[Edge]*Proxy{}}
	for _, e := range edges {
		for _, site := range []cdp.Site{e.To, e.From} {
			if tree.configs[site] == nil {
				tree.configs[site] = &bus.ServerConfig{Site: site, StoreDir: t.TempDir(), Listen: freePort(t)}
				tree.order = append(tree.order, site)
			}
		}
		from, to := tree.configs[e.From], tree.configs[e.To]
		if to.LeafListen == "" {
			to.LeafListen = freePort(t)
		}
		tree.links[e] = NewProxy(t, to.LeafListen)
		seed, key := bus.NewLinkKey()
		from.Links = append(from.Links, bus.Link{Peer: e.To, Dial: tree.links[e].Addr(), Seed: seed})
		to.Links = append(to.Links, bus.Link{Peer: e.From, Key: key})
	}
	return tree
}

func (tree *Tree) start(joined bool) {
	tree.t.Helper()
	tree.t.Cleanup(func() {
		for _, srv := range tree.servers {
			srv.Close()
		}
	})
	for _, p := range tree.links {
		if !joined {
			p.Cut()
		}
	}
	for _, site := range tree.order {
		tree.Start(site)
	}
	if joined {
		tree.Joined()
	}
	for _, site := range tree.order {
		tree.setUp(site)
	}
}

// setUp makes what a site's server needs, and follows the site's peers.
func (tree *Tree) setUp(site cdp.Site) {
	tree.t.Helper()
	c := tree.Connect(site, subjects.Setup)
	if err := bus.EnsureSite(tree.t.Context(), c); err != nil {
		tree.t.Fatal(err)
	}
	tree.keep(func(ctx context.Context) error { return bus.KeepSite(ctx, c) })
	Eventually(tree.t, "set-up answers", func() bool {
		return !cdp.Is(c.Request(tree.t.Context(), site, subjects.Setup, api.FramesDelete, api.FramesRequest{Group: "none"}, nil), cdp.Transient)
	})
	for _, l := range tree.configs[site].Links {
		if err := bus.EnsurePeer(tree.t.Context(), c, l.Peer); err != nil {
			tree.t.Fatal(err)
		}
		tree.keep(func(ctx context.Context) error { return bus.FollowPeer(ctx, c, l.Peer) })
	}
}

// keep runs fn until the test ends.
func (tree *Tree) keep(fn func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- fn(ctx) }()
	tree.t.Cleanup(func() { cancel(); <-done })
}

// Start starts a site's server, the first time or after its Close.
func (tree *Tree) Start(site cdp.Site) *bus.Server {
	tree.t.Helper()
	srv, err := bus.StartServer(tree.t.Context(), *tree.configs[site])
	if err != nil {
		tree.t.Fatal(err)
	}
	tree.servers[site] = srv
	return srv
}

// Server is a site's server.
func (tree *Tree) Server(site cdp.Site) *bus.Server { return tree.servers[site] }

// Config is how a site's server is started.
func (tree *Tree) Config(site cdp.Site) bus.ServerConfig { return *tree.configs[site] }

// Link is the proxy of a link, to cut it.
func (tree *Tree) Link(e Edge) *Proxy { return tree.links[e] }

// Joined waits until all links are up.
func (tree *Tree) Joined() {
	tree.t.Helper()
	Eventually(tree.t, "joined", func() bool {
		for site, srv := range tree.servers {
			if srv.Joined() < len(tree.configs[site].Links) {
				return false
			}
		}
		return true
	})
}

// Connect connects a service to a site over TCP, so that the connection
// outlives a restart of the server.
func (tree *Tree) Connect(site cdp.Site, service string) *bus.Conn {
	tree.t.Helper()
	ctx, cancel := context.WithTimeout(tree.t.Context(), time.Minute)
	defer cancel()
	c, err := bus.Connect(ctx, bus.Config{
		Site: site, Name: service, URL: tree.servers[site].ClientURL(), Credential: tree.Credential(site, service), TLS: tree.configs[site].TLS,
	})
	if err != nil {
		tree.t.Fatal(err)
	}
	tree.t.Cleanup(c.Close)
	return c
}

// Credential is the service's user at a site; empty if the site is open.
func (tree *Tree) Credential(site cdp.Site, service string) bus.Credential {
	if creds := tree.configs[site].Credentials; creds != nil {
		return creds.Users[service]
	}
	return bus.Credential{}
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

// freePort is an address that stays free before a server starts there and
// while it is down: everybody else on this machine who lets the system choose a
// port does so at 127.0.0.1.
func freePort(t testing.TB) string {
	host := net.IPv4(127, byte(1+rand.IntN(254)), byte(rand.IntN(256)), byte(1+rand.IntN(254)))
	l, err := net.Listen("tcp", net.JoinHostPort(host.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
