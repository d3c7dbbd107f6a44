package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tidemark.dev/services/node"
)

func (a *app) cmdHealth() *cobra.Command {
	var creds string
	c := &cobra.Command{
		Use:   "health [SERVICE]",
		Short: "Check that a service takes requests, or that the site's bus works",
		Long: long("Ping a service at the site. Without SERVICE, check that the site's NATS server runs, and\nthat its streams are set up. Services: " + strings.Join(node.Services(), ", ") + `.

This is the health check of containers: with --credentials it needs the service's own
user only. The exit code is 5 if nothing answers within --connect-timeout.`),
		Example: `  tidemark health
  tidemark health journal --nats nats://nats:4222 --site dr --credentials /run/secrets/journal`,
		Args: cobra.MaximumNArgs(1), ValidArgs: node.Services(),
		RunE: func(c *cobra.Command, args []string) error {
			cfg := node.HealthConfig{Credentials: creds}
			if len(args) > 0 {
				if cfg.Service = args[0]; !slices.Contains(node.Services(), cfg.Service) {
					return usage("unknown service %q: use %s", cfg.Service, strings.Join(node.Services(), ", "))
				}
			}
			var err error
			if cfg.Site, cfg.Bus, err = a.conn.where(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), a.conn.wait)
			defer cancel()
			if err := node.Health(ctx, cfg); err != nil {
				return err
			}
			fmt.Fprintln(a.out, "ok")
			return nil
		},
	}
	c.Flags().StringVar(&creds, "credentials", "", "file with the service's user (default: the operator, of the directory)")
	return c
}
