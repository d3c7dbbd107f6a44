package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/client"
)

func (a *app) cmdNATSContext() *cobra.Command {
	var name string
	var force bool
	c := &cobra.Command{
		Use: "nats-context", Short: "Write a context for the NATS CLI", Args: cobra.NoArgs,
		Long: long(`Write a context with which the NATS CLI talks to a site as the operator: its server's
address, the operator's user and password, certificates, and the prefix of its inboxes,
without which it gets no answers. The file is where the NATS CLI looks for it, below
$XDG_CONFIG_HOME/nats or ~/.config/nats, and only its owner can read it.`),
		Example: `  tidemark nats-context
  tidemark --site prod nats-context --name tm-prod
  nats --context tidemark-dr sub 'tidemark.evt.v1.>'`,
		RunE: func(*cobra.Command, []string) error {
			site, ref, err := a.conn.where()
			if err != nil {
				return err
			}
			if name == "" {
				name = "tidemark-" + string(site)
			}
			path, err := client.WriteNATSContext(name, client.NATSContextOf(site, ref), force)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "wrote %s\nuse it: nats --context %s sub 'tidemark.evt.v1.>'\n", path, name)
			return nil
		},
	}
	c.Flags().StringVar(&name, "name", "", "the context's name (default: tidemark-SITE)")
	c.Flags().BoolVar(&force, "force", false, "replace a context of that name that Tidemark did not make")
	return c
}
