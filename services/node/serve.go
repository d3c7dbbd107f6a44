package node

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/spoolshare"
)

// ServeConfig configures Serve.
type ServeConfig struct {
	Site cdp.Site
	// Peers are the sites that it is linked with.
	Peers []cdp.Site
	// Dir is Tidemark's directory; the site's own is in it.
	Dir string
	// Bus is the site's NATS server.
	Bus client.SiteRef
	// Services to run, of Services.
	Services []string
	// Credentials is a file with the users of the server; empty: that of Bus. Without
	// the user setup in it, another process sets the site up, and Peers must be given.
	Credentials string
	// Spool is the site's disk space for frames, in bytes; 0: the default.
	Spool spec.Size
	// Memory is what the process aims to stay below, in bytes; 0: the default.
	Memory spec.Size
	// Windows is the memory for writes that are not sent yet, in bytes; 0: the default.
	Windows spec.Size
	// Allow is what jobs may use of this machine, beside Dir.
	Allow Allow
	// DiskClients says who may open disks over TCP; empty: ByName.
	DiskClients DiskClients
	// Approvers are persons of whom two have to agree to what destroys history.
	Approvers []Approver
	// OTLP is the URL of an OpenTelemetry collector; empty: no tracing.
	OTLP string
	// Metrics is host:port where monitoring may ask the process; empty: nowhere.
	Metrics string
	// SetUpTime bounds the setting up of the site's streams.
	SetUpTime time.Duration
}

// Serve runs services of one site against a NATS server until ctx ends. It calls
// ready once, when the site is set up.
func Serve(ctx context.Context, cfg ServeConfig, log *slog.Logger, ready func()) error {
	if cfg.Windows != 0 && cfg.Windows < minWindows {
		return cdp.Errorf(cdp.Invalid, "serve", "windows", "%v: one full window takes %v", cfg.Windows, spec.Size(minWindows)).WithHint("use --windows 32MiB or more")
	}
	dir, err := filepath.Abs(filepath.Join(cfg.Dir, string(cfg.Site)))
	if err != nil {
		return cdp.Wrap(err, "serve", string(cfg.Site))
	}
	e := &env{site: cfg.Site, memory: boundMemory(int64(cfg.Memory)), peers: cfg.Peers, dir: dir, clock: clock.System, log: log, spool: spoolshare.Budget(cfg.Spool), windowBudget: windowBudget(cfg.Windows), tls: cfg.Bus.TLS, diskClients: cfg.DiskClients, dial: bus.Config{URL: cfg.Bus.URL, Credential: cfg.Bus.Credential, TLS: cfg.Bus.TLS}}
	if e.approvers, err = approversOf(cfg.Approvers, "approvers"); err != nil {
		return err
	}
	setsUp := true
	e.places = placesOf(filepath.Dir(dir), cfg.Site, append([]cdp.Site{cfg.Site}, cfg.Peers...), cfg.Allow, cfg.Bus.TLS.Key, cfg.Credentials)
	if cfg.Credentials != "" {
		if e.creds, err = bus.LoadCredentials(cfg.Credentials); err != nil {
			return err
		}
		if setsUp, err = cfg.checkUsers(e.creds); err != nil {
			return err
		}
	}
	if e.tel, err = telemetry.Setup(ctx, telemetry.Config{Service: strings.Join(cfg.Services, "-"), Site: string(cfg.Site), Endpoint: cfg.OTLP}); err != nil {
		return err
	}
	defer closeTelemetry(e)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if e.metrics, err = listenForMonitoring(cfg.Metrics, log); err != nil {
		return err
	}
	wg.Go(func() { answerMonitoring(ctx, e.metrics, log) })
	if setsUp {
		sctx, cancel := context.WithTimeout(ctx, cfg.SetUpTime)
		err = setUp(sctx, e)
		cancel()
		if err != nil {
			return cdp.Wrap(err, "set up site", string(cfg.Site))
		}
	}
	monitored(e, cfg.Services)
	e.metrics.Started()
	ready()
	if setsUp {
		wg.Go(func() { tendSite(ctx, e) })
	}
	supervise(ctx, e, cfg.Services)
	return nil
}

// checkUsers refuses credentials that lack a service, and reports whether they allow
// to set up the site.
func (cfg ServeConfig) checkUsers(c *bus.Credentials) (setsUp bool, err error) {
	const op = "serve"
	for _, s := range cfg.Services {
		if _, has := c.Users[s]; !has {
			return false, cdp.Errorf(cdp.Invalid, op, cfg.Credentials, "the file has no user for the service %s", s).
				WithHint("write the files of a site with: tidemark site secrets " + string(cfg.Site))
		}
	}
	if _, setsUp = c.Users[subjects.Setup]; !setsUp && len(cfg.Peers) == 0 {
		return false, cdp.Errorf(cdp.Invalid, op, "peer", "it is not known which sites %s is linked with", cfg.Site).
			WithHint("name each with --peer: services without the user setup cannot look it up")
	}
	return setsUp, nil
}
