package main

import (
	"io"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/services/node"
)

func (a *app) cmdSiteNATS() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use:   "nats-config SITE",
		Short: "Print the configuration of a site's own NATS server",
		Long: long(`Print the configuration file of a NATS server for a site of the configuration file
of tidemark up, for those who run NATS themselves and the services with tidemark
serve. It has the accounts and the users of the site, their permissions, and its
links. It holds passwords and private keys: keep it readable by the server only.
Passwords and keys that are missing are generated, in DIR/SITE. Run this at the site
itself.`),
		Example: "  (umask 077; tidemark site nats-config dr --config up.yaml > /etc/nats/dr.conf)\n  nats-server -c /etc/nats/dr.conf",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := a.upConfig(config)
			if err != nil {
				return err
			}
			text, err := node.NATSConfig(cfg, cdp.Site(args[0]))
			if err != nil {
				return err
			}
			_, err = io.WriteString(a.out, text)
			return err
		},
	}
	c.Flags().StringVar(&config, "config", "", "the YAML file of tidemark up")
	return c
}
