package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/services/node"
)

func (a *app) cmdSiteSecrets() *cobra.Command {
	var config, out string
	c := &cobra.Command{
		Use:   "secrets SITE",
		Short: "Write each service's own user of the site's NATS server into a file",
		Long: long(`Write a file for each service of a site, OUT/SERVICE.json, with the service's own user
of the site's NATS server and no other, for tidemark serve --credentials. Whoever gets
into one service has what that service may do, and not the rest. Users that are missing
are generated, in DIR/SITE. Run this with the directory of the site's server.`),
		Example: "  tidemark site secrets dr --config up.yaml --dir /srv/tidemark/nats --out /srv/tidemark/secrets",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if out == "" {
				return usage("--out: say where the files shall be")
			}
			cfg, err := a.upConfig(config)
			if err != nil {
				return err
			}
			files, err := node.Secrets(cfg, cdp.Site(args[0]), out)
			for _, f := range files {
				fmt.Fprintln(a.out, f)
			}
			return err
		},
	}
	c.Flags().StringVar(&config, "config", "", "the YAML file of tidemark up")
	c.Flags().StringVar(&out, "out", "", "directory of the files; it is made if need be")
	return c
}
