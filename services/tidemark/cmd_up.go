package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"tidemark.dev/services/node"
)

func (a *app) cmdUp() *cobra.Command {
	var config, only string
	var verbose bool
	c := &cobra.Command{
		Use:   "up",
		Short: "Run all services of two sites, or of one, in this process",
		Long: long(`Run the source and the target site in this process: two NATS servers, joined by
a leaf node, and every service. It stops cleanly on SIGINT and SIGTERM, and goes
on where it was when it is started again.

With --only it runs one of the two, as a site of its own: the same on the other
site's machine, with the same configuration and a copy of the files
DIR/SITE/credentials.json and DIR/SITE/link.json that the first start makes.

It writes DIR/context.json (mode 0600), by which the other commands find it.`),
		Example: `  tidemark up
  tidemark up --dir /var/lib/tidemark --config /etc/tidemark.yaml
  tidemark up --config /etc/tidemark.yaml --only target`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := node.LoadConfig(config)
			if err != nil {
				return err
			}
			if a.conn.dir != "" || cfg.Dir == "" {
				cfg.Dir = a.conn.directory()
			}
			if only != "" && only != node.SideSource && only != node.SideTarget {
				return usage("--only %s: it is %s or %s", only, node.SideSource, node.SideTarget)
			}
			return node.Up(c.Context(), cfg, only, newLog(a.err, verbose), a.greet)
		},
	}
	c.Flags().StringVar(&only, "only", "", "run this side alone: source or target")
	c.Flags().StringVar(&config, "config", "", "YAML file with sites, addresses, TLS files and the OTLP endpoint")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "log details")
	return c
}

// greet says how to connect.
func (a *app) greet(s node.Started) {
	fmt.Fprintln(a.out, "Tidemark is up.")
	for _, x := range []node.SiteConfig{s.Config.Source, s.Config.Target} {
		if _, here := s.Here[x.Name]; !here {
			continue
		}
		role := "source"
		if x.Name == s.Config.Target.Name {
			role = "target"
		}
		fmt.Fprintf(a.out, "  site %-8s (%s)  %s  %v\n", x.Name, role, s.Context.Sites[x.Name].URL, x.Services)
	}
	opt := ""
	if s.Dir != mustAbs(defaultDir) {
		opt = " --dir " + s.Dir
	}
	fmt.Fprintf(a.out, "Try:  tidemark status%s\nStop: ctrl-c\n", opt)
}

func mustAbs(p string) string {
	if abs, err := filepath.Abs(p); err == nil {
		return abs
	}
	return p
}
