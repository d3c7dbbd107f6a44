package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
)

func (a *app) cmdUp() *cobra.Command {
	var config, only string
	var verbose bool
	c := &cobra.Command{
		Use:   "up",
		Short: "Run all services of two sites, or of one, in this process",
		Long: long(`Run the source and the target site in this process: two NATS servers, joined by
a leaf node, and every service. It stops cleanly on SIGINT and SIGTERM, and goes
on where it was when it is started again.

With --only it runs one of the two, as a site of its own: the same on the other
site's machine, with the same configuration and a copy of the files
DIR/SITE/credentials.json and DIR/SITE/link.json that the first start makes.

It writes DIR/context.json (mode 0600), by which the other commands find it.`),
		Example: `  tidemark up
  tidemark up --dir /var/lib/tidemark --config /etc/tidemark.yaml
  tidemark up --config /etc/tidemark.yaml --only target`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadUpConfig(config)
			if err != nil {
				return err
			}
			if a.conn.dir != "" || cfg.Dir == "" {
				cfg.Dir = a.conn.directory()
			}
			if only != "" && only != sideSource && only != sideTarget {
				return usage("--only %s: it is %s or %s", only, sideSource, sideTarget)
			}
			return a.up(c.Context(), cfg, only, newLog(a.err, verbose))
		},
	}
	c.Flags().StringVar(&only, "only", "", "run this side alone: source or target")
	c.Flags().StringVar(&config, "config", "", "YAML file with sites, addresses, TLS files and the OTLP endpoint")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "log details")
	return c
}

// The sides of a pair of sites, for --only.
const (
	sideSource = "source"
	sideTarget = "target"
)

// up runs the sites, or only one, until ctx ends.
func (a *app) up(ctx context.Context, cfg upConfig, only string, log *slog.Logger) (err error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return &cdp.Error{Op: "make directory", Kind: cdp.Invalid, Subject: cfg.Dir, Cause: err}
	}
	// The target first: the source joins it.
	type side struct {
		cfg  siteConfig
		peer cdp.Site
		bus  bus.ServerConfig
		srv  *bus.Server
	}
	var sides []*side
	if only != sideSource {
		sides = append(sides, &side{cfg: cfg.Target, peer: cfg.Source.Name, bus: bus.ServerConfig{LeafListen: cfg.Leaf, Links: []bus.Link{{}}}})
	}
	if only != sideTarget {
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
	refs := map[cdp.Site]siteRef{}
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
		ref := siteRef{URL: s.srv.ClientURL(), TLS: cfg.tlsFiles()}
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
	a.greet(cfg, file, refs, dir)
	<-ctx.Done()
	log.Info("stopping")
	return nil
}

// greet says how to connect.
func (a *app) greet(cfg upConfig, file contextFile, up map[cdp.Site]siteRef, dir string) {
	fmt.Fprintln(a.out, "Tidemark is up.")
	for _, s := range []siteConfig{cfg.Source, cfg.Target} {
		if _, here := up[s.Name]; !here {
			continue
		}
		role := "source"
		if s.Name == cfg.Target.Name {
			role = "target"
		}
		fmt.Fprintf(a.out, "  site %-8s (%s)  %s  %v\n", s.Name, role, file.Sites[s.Name].URL, s.Services)
	}
	opt := ""
	if dir != mustAbs(defaultDir) {
		opt = " --dir " + dir
	}
	fmt.Fprintf(a.out, "Try:  tidemark status%s\nStop: ctrl-c\n", opt)
}

// startSite starts a site's server.
func startSite(ctx context.Context, dir string, cfg upConfig, s siteConfig, peer cdp.Site, creds map[cdp.Site]*bus.Credentials, sc bus.ServerConfig) (*bus.Server, error) {
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

func mustAbs(p string) string {
	if abs, err := filepath.Abs(p); err == nil {
		return abs
	}
	return p
}
