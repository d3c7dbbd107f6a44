package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"time"

	"tidemark.dev/pkg/client"
	"tidemark.dev/services/node"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
)

const (
	defaultDir = "tidemark-data"
	envDir     = "TIDEMARK_DIR"
	envNATS    = "TIDEMARK_NATS"
	envTLS     = "TIDEMARK_TLS_" // and CA, CERT or KEY
)

// connectFlags say where the bus is; every command takes them.
type connectFlags struct {
	dir, nats string
	site      string
	tls       client.SiteRef // for --nats: only its TLS files are set
	wait      time.Duration
}

func (f *connectFlags) register(c *cobra.Command) {
	p := c.PersistentFlags()
	p.StringVar(&f.dir, "dir", "", "Tidemark's directory (default $"+envDir+", else ./"+defaultDir+")")
	p.StringVar(&f.nats, "nats", "", "URL of the site's NATS server, with user:password@ if it needs them (default $"+envNATS+", else from the directory)")
	p.StringVar(&f.site, "site", "", "the site to talk to (default: the default site of the directory; with --nats: dr)")
	p.StringVar(&f.tls.TLS.CA, "tls-ca", "", "PEM file of the certificate authority, for --nats (default $"+envTLS+"CA)")
	p.StringVar(&f.tls.TLS.Cert, "tls-cert", "", "PEM file of the client certificate, for --nats (default $"+envTLS+"CERT)")
	p.StringVar(&f.tls.TLS.Key, "tls-key", "", "PEM file of the client key, for --nats (default $"+envTLS+"KEY)")
	p.DurationVar(&f.wait, "connect-timeout", 5*time.Second, "how long to try to connect to the bus")
}

// directory is where Tidemark's files are.
func (f *connectFlags) directory() string {
	switch {
	case f.dir != "":
		return f.dir
	case os.Getenv(envDir) != "":
		return os.Getenv(envDir)
	}
	return defaultDir
}

// where resolves the flags to a site and its bus.
func (f *connectFlags) where() (site cdp.Site, ref client.SiteRef, err error) {
	site = cdp.Site(f.site)
	raw := f.nats
	if raw == "" && f.dir == "" {
		raw = os.Getenv(envNATS)
	}
	if raw == "" {
		c, err := client.LoadContext(f.directory())
		if err != nil {
			return "", ref, err
		}
		if site == "" {
			site = c.Default
		}
		ref, ok := c.Sites[site]
		if !ok {
			return "", ref, cdp.Errorf(cdp.NotFound, "find the bus", string(site), "no such site runs in %s", f.directory()).
				WithHint(fmt.Sprintf("the sites are %v; reach another one with --nats", slices.Sorted(maps.Keys(c.Sites))))
		}
		return site, ref, nil
	}
	if ref, err = refOf(raw); err != nil {
		return "", ref, err
	}
	ref.TLS = f.tls.TLS
	ref.TLS.CA = cmp.Or(ref.TLS.CA, os.Getenv(envTLS+"CA"))
	ref.TLS.Cert = cmp.Or(ref.TLS.Cert, os.Getenv(envTLS+"CERT"))
	ref.TLS.Key = cmp.Or(ref.TLS.Key, os.Getenv(envTLS+"KEY"))
	if site == "" {
		site = node.DefaultSite
	}
	return site, ref, nil
}

// refOf takes user and password out of a URL.
func refOf(raw string) (client.SiteRef, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return client.SiteRef{}, cdp.Errorf(cdp.Invalid, "find the bus", "nats", "not a URL such as nats://host:4222")
	}
	var ref client.SiteRef
	if u.User != nil {
		ref.Credential.User = u.User.Username()
		ref.Credential.Password, _ = u.User.Password()
		u.User = nil
	}
	ref.URL = u.String()
	return ref, nil
}

// with connects as the operator, runs fn and closes.
func (a *app) with(ctx context.Context, fn func(context.Context, *client.Client) error) (err error) {
	site, ref, err := a.conn.where()
	if err != nil {
		return err
	}
	var trace *client.Trace
	if a.traced != "" {
		if ctx, trace, err = client.BeginTrace(ctx, a.traced, site); err != nil {
			return err
		}
		defer func() { trace.End(err) }()
	}
	cctx, cancel := context.WithTimeout(ctx, a.conn.wait)
	c, err := client.Connect(cctx, client.Config{Site: site, Bus: ref, Clock: a.clock(), Trace: trace, Who: whoami()})
	cancel()
	if err != nil {
		return err
	}
	defer c.Close()
	return fn(ctx, c)
}
