package main

import (
	"github.com/spf13/cobra"

	"tidemark.dev/services/node"
)

func (a *app) cmdSiteKeys() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use:   "keys SITE...",
		Short: "Print the public keys of the links that sites dial",
		Long: long(`Print the links that a site dials, each with its public key, as they belong into the
file of tidemark up at the site that is dialled. A key that is missing is made. Run
it at the site itself: the secret half stays in DIR/SITE/links, and never leaves
that machine. Where one process runs all sites of a file this is not needed.`),
		Example: "  tidemark site keys prod --config /etc/tidemark.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := a.upConfig(config)
			if err != nil {
				return err
			}
			links, err := node.LinkKeys(cfg, siteNames(args))
			if err != nil {
				return err
			}
			return format("yaml").print(a.out, map[string]any{"links": links}, nil, nil)
		},
	}
	c.Flags().StringVar(&config, "config", "", "the YAML file of tidemark up")
	return c
}
