package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/services/node"
)

func (a *app) cmdWitness() *cobra.Command {
	var file string
	var watch []string
	var every time.Duration
	var printKey, verbose bool
	c := &cobra.Command{
		Use:   "witness",
		Short: "Look at sites from elsewhere, so that a plan may start when one is gone",
		Long: long(`Look at sites and tell the orchestrator of another site what is seen. Run it on a
machine that shares no power and no network with either. A plan lists the witnesses it
counts on in a trigger, by their public keys; a site's own link alone starts nothing.

A site answers if one of its addresses does: nats://HOST:PORT is its NATS server, known
by its greeting, and tcp://HOST:PORT anything that takes connections, such as a vCenter.
No credentials are needed there. At the other site's NATS server it needs the user
witness, whose password is in credentials.json there and who may do nothing else.

The key is made the first time. --print-key prints its public half and ends.`),
		Example: `  tidemark witness --print-key
  TIDEMARK_NATS=nats://witness:PASSWORD@nats.dr:4222 tidemark witness --site dr --watch prod=nats://nats.prod:4222 --watch prod=tcp://vcenter.prod:443`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if file == "" {
				file = filepath.Join(a.conn.directory(), "witness.key")
			}
			key, err := node.LoadWitnessKey(file)
			if err != nil {
				return err
			}
			if printKey {
				fmt.Fprintln(a.out, api.WitnessKey(key))
				return nil
			}
			cfg := node.WitnessConfig{Watch: map[cdp.Site][]string{}, Key: key, Every: every}
			for _, w := range watch {
				site, addr, found := strings.Cut(w, "=")
				if !found {
					return usage("--watch: %q: write SITE=nats://HOST:PORT", w)
				}
				cfg.Watch[cdp.Site(site)] = append(cfg.Watch[cdp.Site(site)], addr)
			}
			if err := cfg.Check(); err != nil {
				return err
			}
			if cfg.To, cfg.Bus, err = a.conn.where(); err != nil {
				return err
			}
			return node.Witness(c.Context(), cfg, newLog(a.err, verbose), func() {
				fmt.Fprintf(a.out, "a witness for site %s; its key is %s\n", cfg.To, api.WitnessKey(key))
			})
		},
	}
	c.Flags().StringSliceVar(&watch, "watch", nil, "what to look at: SITE=nats://HOST:PORT or SITE=tcp://HOST:PORT; can be repeated")
	c.Flags().StringVar(&file, "key", "", "file of the key (default: witness.key in the directory)")
	c.Flags().DurationVar(&every, "every", 5*time.Second, "pause between two looks; a report counts for 30 s")
	c.Flags().BoolVar(&printKey, "print-key", false, "print the public key and end")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "log details")
	return c
}
