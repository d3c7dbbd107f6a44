package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
)

func (a *app) cmdServe() *cobra.Command {
	var creds, otlp string
	var verbose bool
	c := &cobra.Command{
		Use:   "serve SERVICE...",
		Short: "Run some services against an existing NATS server",
		Long: long("Run services of one site against its NATS server, which must be 2.14 or newer with\nJetStream and the site's name as its domain. Services: " + strings.Join(roleNames(), ", ") + `.

With --credentials each service uses its own user of that file.`),
		Example: `  tidemark serve capture --nats nats://10.0.0.5:4222 --site prod --peer dr --dir /var/lib/tidemark
  tidemark serve journal scheduler rpo-monitor failover --nats nats://10.0.1.5:4222 --site dr --peer prod`,
		Args: cobra.MinimumNArgs(1), ValidArgs: roleNames(),
		RunE: func(c *cobra.Command, services []string) error {
			for _, s := range services {
				if !slices.Contains(roleNames(), s) {
					return usage("no service %q: there are %s", s, strings.Join(roleNames(), ", "))
				}
			}
			return a.serve(c.Context(), services, creds, otlp, verbose)
		},
	}
	c.Flags().StringVar(&creds, "credentials", "", "file with the users of the site's server")
	c.Flags().StringVar(&otlp, "otlp", "", "URL of an OpenTelemetry collector")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "log details")
	return c
}

func (a *app) serve(ctx context.Context, services []string, creds, otlp string, verbose bool) error {
	site, peer, ref, err := a.conn.where()
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Join(a.conn.directory(), string(site)))
	if err != nil {
		return cdp.Wrap(err, "serve", string(site))
	}
	e := &env{site: site, peer: peer, dir: dir, log: newLog(a.err, verbose), tls: ref.TLS, dial: bus.Config{URL: ref.URL, Credential: ref.Credential, TLS: ref.TLS}}
	if creds != "" {
		if e.creds, err = bus.LoadCredentials(creds); err != nil {
			return err
		}
	}
	if e.tel, err = telemetry.Setup(ctx, telemetry.Config{Service: strings.Join(services, "-"), Site: string(site), Endpoint: otlp}); err != nil {
		return err
	}
	defer closeTelemetry(e)
	sctx, cancel := context.WithTimeout(ctx, a.conn.wait)
	err = setUp(sctx, e)
	cancel()
	if err != nil {
		return cdp.Wrap(err, "set up site", string(site))
	}
	fmt.Fprintf(a.out, "serving %s at site %s\n", strings.Join(services, ", "), site)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { followPeer(ctx, e) })
	supervise(ctx, e, services)
	return nil
}
