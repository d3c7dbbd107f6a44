package node

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/subjects"
)

// Started is what has come up.
type Started struct {
	Config Config
	// Dir is where everything is kept; absolute.
	Dir string
	// Context is what was written for the command line, and Here the sites of it
	// that run in this process.
	Context client.Context
	Here    map[cdp.Site]client.SiteRef
}

// The sides of a pair of sites, for --only.
const (
	SideSource = "source"
	SideTarget = "target"
)

// Up runs the sites, or only one, until ctx ends. It calls ready once, when all
// are up; what it is given tells where.
func Up(ctx context.Context, cfg Config, only string, log *slog.Logger, ready func(Started)) (err error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return &cdp.Error{Op: "make directory", Kind: cdp.Invalid, Subject: cfg.Dir, Cause: err}
	}
	// The target first: the source joins it.
	type side struct {
		cfg  SiteConfig
		peer cdp.Site
		bus  bus.ServerConfig
		srv  *bus.Server
	}
	var sides []*side
	if only != SideSource {
		sides = append(sides, &side{cfg: cfg.Target, peer: cfg.Source.Name, bus: bus.ServerConfig{LeafListen: cfg.Leaf, Links: []bus.Link{{}}}})
	}
	if only != SideTarget {
		sides = append(sides, &side{cfg: cfg.Source, peer: cfg.Target.Name, bus: bus.ServerConfig{Links: []bus.Link{{Dial: cfg.Leaf}}}})
	}
	for _, s := range sides {
		unlock, err := lockDir(filepath.Join(dir, string(s.cfg.Name)))
		if err != nil {
			return err
		}
		defer unlock()
	}
	creds, err := credentials(dir, cfg)
	if err != nil {
		return err
	}
	refs := map[cdp.Site]client.SiteRef{}
	for _, s := range sides {
		if s.cfg.Name == cfg.Source.Name && len(sides) == 2 {
			s.bus.Links[0].Dial = sides[0].srv.LeafAddr() // the port may have been chosen just now
		}
		if s.srv, err = startSite(ctx, dir, cfg, s.cfg, s.peer, creds, s.bus); err != nil {
			return err
		}
		defer s.srv.Close()
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, s := range sides {
		e := &env{site: s.cfg.Name, peer: s.peer, dir: filepath.Join(dir, string(s.cfg.Name)), log: log, dial: bus.Config{Server: s.srv}, creds: creds[s.cfg.Name], tls: cfg.tlsFiles()}
		if e.tel, err = telemetry.Setup(ctx, telemetry.Config{Service: "up", Site: string(e.site), Endpoint: cfg.OTLP}); err != nil {
			return err
		}
		defer closeTelemetry(e)
		if err := setUp(ctx, e); err != nil {
			return err
		}
		ref := client.SiteRef{URL: s.srv.ClientURL(), TLS: cfg.tlsFiles()}
		if e.creds != nil {
			ref.Credential = e.creds.Users[subjects.Operator]
		}
		refs[e.site] = ref
		wg.Go(func() { supervise(ctx, e, s.cfg.Services) })
		wg.Go(func() { followPeer(ctx, e) })
	}
	file, err := mergeContext(dir, cfg, refs)
	if err != nil {
		return err
	}
	ready(Started{Config: cfg, Dir: dir, Context: file, Here: refs})
	<-ctx.Done()
	log.Info("stopping")
	return nil
}

// startSite starts a site's server.
func startSite(ctx context.Context, dir string, cfg Config, s SiteConfig, peer cdp.Site, creds map[cdp.Site]*bus.Credentials, sc bus.ServerConfig) (*bus.Server, error) {
	key, err := loadLinkKey(dir, cfg, s.Name)
	if err != nil {
		return nil, err
	}
	l := &sc.Links[0]
	l.Peer, l.Seed, l.Key = peer, key.Seed, key.Key
	sc.Site, sc.Listen = s.Name, s.Listen
	sc.StoreDir = filepath.Join(dir, string(s.Name), "nats")
	sc.TLS, sc.Credentials = cfg.tlsFiles(), creds[s.Name]
	if err := free(s.Listen); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return bus.StartServer(ctx, sc)
}

// free looks whether an address can be listened at; the server would only time
// out.
func free(addr string) error {
	if addr == "" {
		return nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		e := &cdp.Error{Op: "listen", Kind: cdp.Conflict, Subject: addr, Cause: err}
		return e.WithHint("is another Tidemark or NATS server running? choose other addresses with --config")
	}
	return l.Close()
}

// setUp makes the site's streams and buckets and the copies of its peer's. It
// tries until ctx ends: the server may be killed and started again meanwhile.
func setUp(ctx context.Context, e *env) error {
	for {
		err := setUpOnce(ctx, e)
		if err == nil || !cdp.Is(err, cdp.Transient) || ctx.Err() != nil {
			return err
		}
		e.warn(err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func setUpOnce(ctx context.Context, e *env) error {
	conn, err := e.connect(ctx, subjects.Setup)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := bus.EnsureSite(ctx, conn); err != nil {
		return err
	}
	return bus.EnsurePeer(ctx, conn, e.peer)
}

// followPeer keeps the copies of the peer following until ctx ends.
func followPeer(ctx context.Context, e *env) {
	conn, err := e.connect(ctx, subjects.Setup)
	if err == nil {
		defer conn.Close()
		err = bus.FollowPeer(ctx, conn, e.peer)
	}
	if err != nil && ctx.Err() == nil {
		e.warn(err)
	}
}

func closeTelemetry(e *env) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := e.tel.Close(ctx); err != nil {
		e.warn(err)
	}
}

// mergeContext adds the sites that are up here to the context, in which the
// other site's process may have written its own.
func mergeContext(dir string, cfg Config, up map[cdp.Site]client.SiteRef) (client.Context, error) {
	unlock, err := lockFile(filepath.Join(dir, "lock"), unix.LOCK_EX)
	if err != nil {
		return client.Context{}, err
	}
	defer unlock()
	c, err := client.LoadContext(dir)
	if err != nil || c.Target != cfg.Target.Name || c.Source != cfg.Source.Name {
		c = client.Context{Target: cfg.Target.Name, Source: cfg.Source.Name, Sites: map[cdp.Site]client.SiteRef{}}
	}
	maps.Copy(c.Sites, up)
	return c, c.Save(dir)
}
