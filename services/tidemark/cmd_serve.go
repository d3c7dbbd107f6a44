package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/spoolshare"
	"tidemark.dev/services/node"
)

func (a *app) cmdServe() *cobra.Command {
	var clients, creds, otlp, monitoring, spool, memory, windows string
	var peers, allow, approvers []string
	var verbose bool
	c := &cobra.Command{
		Use:   "serve SERVICE...",
		Short: "Run some services against an existing NATS server",
		Long: long("Run services of one site against its NATS server: version 2.14 or newer, with JetStream,\nand with the site's name as its JetStream domain. Services: " + strings.Join(node.Services(), ", ") + `.

Jobs may use files of --dir, and of the directories of --allow. A peer cannot name any
others.

With --credentials each service connects as its own user in that file. Give --peer once
for each site that this one is linked with.

A file with the users of these services alone will do (tidemark site secrets). The
site's streams are then set up by another process: the one of tidemark up that runs the
site's NATS server, for instance.`),
		Example: `  tidemark serve capture --nats nats://10.0.0.5:4222 --site prod --peer dr --dir /var/lib/tidemark
  tidemark serve journal scheduler rpo-monitor failover --nats nats://10.0.1.5:4222 --site dr --peer prod`,
		Args: cobra.MinimumNArgs(1), ValidArgs: node.Services(),
		RunE: func(c *cobra.Command, services []string) error {
			for _, s := range services {
				if !slices.Contains(node.Services(), s) {
					return usage("unknown service %q: use %s", s, strings.Join(node.Services(), ", "))
				}
			}
			room, err := spec.ParseSize(spool)
			if err != nil {
				return usage("--spool: %v", err)
			}
			var most, unsent spec.Size
			for _, f := range []struct {
				name, value string
				to          *spec.Size
			}{{"memory", memory, &most}, {"windows", windows, &unsent}} {
				if f.value == "" {
					continue
				}
				if *f.to, err = spec.ParseSize(f.value); err != nil {
					return usage("--%s: %v", f.name, err)
				}
			}
			allowed, err := node.ParseAllow(allow)
			if err != nil {
				return err
			}
			who := node.DiskClients(clients)
			if err := who.Check("--disk-clients"); err != nil {
				return err
			}
			two, err := node.ParseApprovers(approvers)
			if err != nil {
				return err
			}
			return a.serve(c.Context(), node.ServeConfig{Allow: allowed, Approvers: two, DiskClients: who, Services: services, Peers: siteNames(peers), Credentials: creds, OTLP: otlp, Metrics: monitoring, Spool: room, Memory: most, Windows: unsent}, verbose)
		},
	}
	c.Flags().StringSliceVar(&peers, "peer", nil, "a site that this one is linked with; can be repeated (default: as the site was last set up)")
	c.Flags().StringSliceVar(&allow, "allow", nil, allowHelp)
	c.Flags().StringVar(&clients, "disk-clients", "named", diskClientsHelp)
	c.Flags().StringSliceVar(&approvers, "approver", nil, "NAME=KEY of a person; two of those named have to agree to what destroys history, as with approvers in up.yaml; can be repeated")
	c.Flags().StringVar(&creds, "credentials", "", "file with the users of the site's NATS server")
	c.Flags().StringVar(&spool, "spool", spec.Size(spoolshare.Default).String(), "disk space at the site for frames that wait to be sent, as in up.yaml; its NATS server must have as much")
	c.Flags().StringVar(&memory, "memory", "", "memory that the process aims to stay below, as in up.yaml (default: a quarter of the machine's)")
	c.Flags().StringVar(&windows, "windows", "", "memory for writes that are not sent yet, as in up.yaml (default: an eighth of the machine's)")
	c.Flags().StringVar(&otlp, "otlp", "", "URL of an OpenTelemetry collector, as in OTEL_EXPORTER_OTLP_ENDPOINT: http://host:4318")
	c.Flags().StringVar(&monitoring, "metrics", "", "answer Prometheus and health checks at host:port; :9464 is on the loopback interface (default: nowhere)")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "log details")
	return c
}

// serve fills in where, and serves.
func (a *app) serve(ctx context.Context, cfg node.ServeConfig, verbose bool) (err error) {
	if cfg.Site, cfg.Bus, err = a.conn.where(); err != nil {
		return err
	}
	if cfg.Peers == nil {
		cfg.Peers = cfg.Bus.Peers
	}
	cfg.Dir, cfg.SetUpTime = a.conn.directory(), a.conn.wait
	return node.Serve(ctx, cfg, newLog(a.err, verbose), func() {
		fmt.Fprintf(a.out, "serving %s at site %s\n", strings.Join(cfg.Services, ", "), cfg.Site)
	})
}
