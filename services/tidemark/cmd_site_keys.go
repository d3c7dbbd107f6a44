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
		Long: long(`Print the links that a site dials, with their public keys, for the configuration file
of tidemark up at the site that is dialled. Missing keys are generated. Run this at
the site itself: the private keys stay in DIR/SITE/links on that machine. You do not
need it if one process runs all sites of a file.`),
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
			return asYAML.print(a.out, map[string]any{"links": links}, nil, nil)
		},
	}
	c.Flags().StringVar(&config, "config", "", "the YAML file of tidemark up")
	return c
}
