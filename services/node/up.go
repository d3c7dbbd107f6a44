package node

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/spoolshare"
)

// Started is what has come up.
type Started struct {
	// Dir is where everything is kept; absolute.
	Dir string
	// Context is what was written for the command line.
	Context client.Context
	// Here are the sites that run in this process, in the order of the file.
	Here []SiteConfig
	// Open: they have no users and passwords.
	Open bool
	// Trial: several sites run here, so whoever has this machine has all of them.
	Trial bool
}

// Up runs the sites of a file, or only some, until ctx ends. It calls ready once,
// when all are up.
func Up(ctx context.Context, cfg Config, only []cdp.Site, log *slog.Logger, ready func(Started)) error {
	here, err := cfg.only(only)
	if err != nil {
		return err
	}
	dir, err := directory(cfg)
	if err != nil {
		return err
	}
	release, err := takeSites(dir, here)
	defer release()
	if err != nil {
		return err
	}
	if err := agreeOnKeys(dir, cfg, here); err != nil {
		return err
	}
	if cfg.Open {
		log.Warn("open: true in the configuration: whoever reaches the addresses of the sites can do anything, such as delete every journal")
	}
	servers := map[cdp.Site]*bus.Server{}
	defer closeServers(servers, log)
	creds := map[cdp.Site]*bus.Credentials{}
	for _, s := range cfg.dialledFirst(here) {
		if creds[s.Name], err = credentials(dir, cfg, s.Name); err != nil {
			return err
		}
		srv, err := startServer(ctx, dir, cfg, s, creds[s.Name], func(to cdp.Site) string {
			if x := servers[to]; x != nil {
				return x.LeafAddr() // the port may have been chosen just now
			}
			return ""
		})
		if err != nil {
			return err
		}
		servers[s.Name] = srv
		sayMended(log, srv)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	monitoring, err := listenForMonitoring(cfg.Metrics, log)
	if err != nil {
		return err
	}
	wg.Go(func() { answerMonitoring(ctx, monitoring, log) })
	memory, windows, refs := boundMemory(int64(cfg.Memory)), windowBudget(cfg.Windows), map[cdp.Site]client.SiteRef{}
	for _, s := range here {
		e := &env{
			site: s.Name, peers: cfg.peers(s.Name), dir: filepath.Join(dir, string(s.Name)), clock: clock.System, log: log, memory: memory,
			dial: bus.Config{Server: servers[s.Name]}, creds: creds[s.Name], tls: cfg.tls(s), diskClients: cfg.diskClients(s), metrics: monitoring, spool: spoolshare.Budget(s.Spool), windowBudget: windows,
			places: placesOf(dir, s.Name, names(cfg.Sites), cfg.allow(s), cfg.tls(s).Key),
		}
		if e.approvers, err = approversOf(s.Approvers, "approvers"); err != nil {
			return err
		}
		if e.tel, err = telemetry.Setup(ctx, telemetry.Config{Service: "up", Site: string(e.site), Endpoint: cfg.OTLP}); err != nil {
			return err
		}
		defer closeTelemetry(e)
		if err := setUp(ctx, e); err != nil {
			return err
		}
		refs[e.site] = e.operatorsRef(servers[s.Name].ClientURL())
		monitored(e, s.services())
		wg.Go(func() { supervise(ctx, e, s.services()) })
		wg.Go(func() { tendSite(ctx, e) })
		wg.Go(func() { tendServer(ctx, e, servers[s.Name]) })
	}
	file, err := mergeContext(dir, cfg, refs)
	if err != nil {
		return err
	}
	monitoring.Started()
	ready(Started{Dir: dir, Context: file, Here: here, Open: cfg.Open, Trial: len(here) > 1 && !cfg.Open})
	<-ctx.Done()
	log.Info("stopping")
	return nil
}

// agreeOnKeys has the sites know each other's keys: from each other's directories if all
// are here, and as the file says.
func agreeOnKeys(dir string, cfg Config, here []SiteConfig) error {
	if len(here) == len(cfg.Sites) {
		if err := exchangeKeys(dir, cfg); err != nil {
			return err
		}
	}
	return cfg.bindPeerSigners(dir, here)
}

func names(sites []SiteConfig) (out []cdp.Site) {
	for _, s := range sites {
		out = append(out, s.Name)
	}
	return out
}

// operatorsRef is how people reach the site.
func (e *env) operatorsRef(url string) client.SiteRef {
	ref := client.SiteRef{URL: url, TLS: e.tls, Peers: e.peers}
	if e.creds != nil {
		ref.Credential = e.creds.Users[subjects.Operator]
	}
	return ref
}

// closeWithin is how long the NATS servers may take to close their files. They take 10 ms
// for each group, one after the other, so that those of a thousand would take longer than a
// process may to stop. What is stored does not depend on it.
const closeWithin = 4 * time.Second

// closeServers closes the servers when nobody uses them any more. Those that take too long
// are left to the end of the process.
func closeServers(servers map[cdp.Site]*bus.Server, log *slog.Logger) {
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(s.Close)
	}
	closed := make(chan struct{})
	go func() {
		wg.Wait()
		close(closed)
	}()
	late := clock.System.NewTimer(closeWithin)
	defer late.Stop()
	select {
	case <-closed:
	case <-late.C():
		log.Info("stopping without closing all files of the NATS servers: they check them at the next start")
	}
}

// takeSites takes the directories of sites for this process, until release. Call it
// whatever the error.
func takeSites(dir string, here []SiteConfig) (release func(), err error) {
	var unlock []func()
	release = func() {
		for _, fn := range unlock {
			fn()
		}
	}
	for _, s := range here {
		// Not the journals' disk, if they have their own: that is theirs alone.
		site := filepath.Join(dir, string(s.Name))
		if err := roomToStart(filepath.Join(site, "nats"), site); err != nil {
			return release, err
		}
		fn, err := lockDir(site)
		if err != nil {
			return release, err
		}
		unlock = append(unlock, fn)
	}
	return release, nil
}

// sayMended says what a server found damaged in its files as it started.
func sayMended(log *slog.Logger, srv *bus.Server) {
	for _, path := range srv.SetAside() {
		log.Warn("a file of the NATS server was damaged and is set aside; what it described is made again", "path", path)
	}
	for _, what := range srv.Mended() {
		log.Warn("a message in the NATS server's files was damaged", "what", what)
	}
}

// tendServer looks after a server's store and its links.
func tendServer(ctx context.Context, e *env, srv *bus.Server) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { keepStore(ctx, e, srv) })
	watchLinks(ctx, e, srv)
}

// keepStore keeps a server's store going after its disk was full.
func keepStore(ctx context.Context, e *env, srv *bus.Server) {
	srv.KeepStore(ctx, 5*time.Second, func(err error) {
		if err != nil {
			e.warn(err)
			return
		}
		e.log.Info("the NATS store can be written again")
	})
}

// watchLinks says why sites cannot meet, where waiting does not help.
func watchLinks(ctx context.Context, e *env, srv *bus.Server) {
	var said error
	for clock.Sleep(ctx, e.clock, 5*time.Second) == nil {
		err := srv.LinkTrouble()
		if err != nil && (said == nil || said.Error() != err.Error()) {
			e.warn(err)
		}
		if err != nil || srv.Joined() > 0 {
			said = err
		}
	}
}

// directory is the file's directory, absolute; it is made if need be.
func directory(cfg Config) (string, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err == nil {
		var sites []string
		for _, s := range cfg.Sites {
			sites = append(sites, filepath.Join(dir, string(s.Name)))
		}
		if err := roomToStart(dir, sites...); err != nil {
			return "", err
		}
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", &cdp.Error{Op: "make directory", Kind: cdp.Invalid, Subject: cfg.Dir, Cause: err}
	}
	return dir, nil
}

// only are the named sites; all of them where none is named.
func (c Config) only(names []cdp.Site) ([]SiteConfig, error) {
	if len(names) == 0 {
		return c.Sites, nil
	}
	var out []SiteConfig
	for _, n := range names {
		s := c.site(n)
		if s == nil {
			var all []cdp.Site
			for _, x := range c.Sites {
				all = append(all, x.Name)
			}
			return nil, cdp.Errorf(cdp.Invalid, "find site", string(n), "there is no such site; the sites are %v", all)
		}
		out = append(out, *s)
	}
	return out, nil
}

// dialledFirst are sites in an order in which those that are dialled come before
// those that dial them. The links form a tree, so there is one.
func (c Config) dialledFirst(sites []SiteConfig) []SiteConfig {
	var out []SiteConfig
	done := map[cdp.Site]bool{}
	var add func(SiteConfig)
	add = func(s SiteConfig) {
		if done[s.Name] {
			return
		}
		done[s.Name] = true
		for _, l := range c.Links {
			i := slices.IndexFunc(sites, func(x SiteConfig) bool { return x.Name == l.To })
			if l.From == s.Name && i >= 0 {
				add(sites[i])
			}
		}
		out = append(out, s)
	}
	for _, s := range sites {
		add(s)
	}
	return out
}

// startServer starts a site's NATS server.
func startServer(ctx context.Context, dir string, cfg Config, s SiteConfig, creds *bus.Credentials, leaf func(cdp.Site) string) (*bus.Server, error) {
	sc, err := cfg.server(dir, s, creds, leaf)
	if err != nil {
		return nil, err
	}
	for _, addr := range []string{s.Listen, s.Leaf} {
		if err := free(addr); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return bus.StartServer(ctx, sc)
}

// server is a site's server as the bus wants it described.
func (c Config) server(dir string, s SiteConfig, creds *bus.Credentials, leaf func(cdp.Site) string) (bus.ServerConfig, error) {
	links, err := c.links(dir, s.Name, leaf)
	return bus.ServerConfig{
		Site: s.Name, Listen: s.Listen, LeafListen: s.Leaf, Links: links,
		StoreDir: filepath.Join(dir, string(s.Name), "nats"), TLS: c.tls(s), Credentials: creds,
		Spool: spoolshare.Budget(s.Spool),
	}, err
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

// mergeContext adds the sites that are up here to the context, in which another
// process may have written its own.
func mergeContext(dir string, cfg Config, up map[cdp.Site]client.SiteRef) (client.Context, error) {
	unlock, err := lockFile(filepath.Join(dir, "lock"), unix.LOCK_EX)
	if err != nil {
		return client.Context{}, err
	}
	defer unlock()
	c, err := client.LoadContext(dir)
	if err != nil {
		c = client.Context{}
	}
	sites := map[cdp.Site]client.SiteRef{}
	for name, ref := range c.Sites {
		if cfg.site(name) != nil { // what is not in the file any more is gone
			sites[name] = ref
		}
	}
	maps.Copy(sites, up)
	c.Sites, c.Default = sites, cfg.hub()
	if _, known := sites[c.Default]; !known {
		c.Default = slices.Sorted(maps.Keys(sites))[0]
	}
	return c, c.Save(dir)
}
