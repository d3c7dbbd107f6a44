package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tidemark.dev/services/node"
)

func (a *app) cmdConfig() *cobra.Command {
	return group("config", "Check the configuration file of tidemark up", "  tidemark config check /etc/tidemark/up.yaml", a.cmdConfigCheck())
}

func (a *app) cmdConfigCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE", Short: "Check a configuration file without starting anything", Args: cobra.ExactArgs(1),
		Long: long(`Check the configuration file of tidemark up: its fields and their rules, the tree of
links, and that certificates can be read and belong together. Nothing is started or
changed. The exit code is 2 if something is wrong.`),
		Example: "  tidemark config check /etc/tidemark/up.yaml",
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := node.CheckConfig(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s is good: %s, %s\n", args[0], count(len(cfg.Sites), "site"), count(len(cfg.Links), "link"))
			return nil
		},
	}
}
