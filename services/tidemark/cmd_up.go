package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/services/node"
)

func (a *app) cmdUp() *cobra.Command {
	var config, monitoring, clients string
	var only, allow []string
	var verbose bool
	c := &cobra.Command{
		Use:   "up",
		Short: "Run sites with all their services in this process",
		Long: long(`Run the sites of a file in this process: a NATS server for each, links between
them, and every service. Without a file these are two sites, prod and dr. It stops
cleanly on SIGINT and SIGTERM, within ten seconds; a second signal ends it at once.
It continues where it was when it is started again.

It does not start on a full disk: 64 MiB must be free.

Jobs may use files of --dir, of the directories that allow: in the file lists (without
it: of the working directory), and of --allow. A peer cannot name any others.

With --only it runs some of the file's sites, each a site of its own: do the same
on the other sites' machines, with the same file. Each site makes its own passwords and
keys, and those that are linked are joined once: tidemark site invite. Without --only it
makes those of all sites of the file on this machine, which is for a trial.

It writes DIR/context.json (mode 0600), by which the other commands find it.`),
		Example: `  tidemark up
  tidemark up --dir /var/lib/tidemark --config /etc/tidemark.yaml
  tidemark up --config /etc/tidemark.yaml --only dr
  tidemark up --allow /srv/disks --allow replicas=/dev/mapper`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.upConfig(config)
			if err != nil {
				return err
			}
			more, err := node.ParseAllow(allow)
			if err != nil {
				return err
			}
			cfg.AllowMore(more)
			if clients != "" {
				if err := cfg.LetIn(node.DiskClients(clients)); err != nil {
					return err
				}
			}
			if monitoring != "" {
				cfg.Metrics = monitoring
			}
			return node.Up(c.Context(), cfg, siteNames(only), newLog(a.err, verbose), a.greet)
		},
	}
	c.Flags().StringSliceVar(&only, "only", nil, "run these sites alone, separated by commas")
	c.Flags().StringSliceVar(&allow, "allow", nil, allowHelp)
	c.Flags().StringVar(&clients, "disk-clients", "", diskClientsHelp+" (default: as the file says, else named)")
	c.Flags().StringVar(&config, "config", "", "YAML file with sites, links, TLS files and the OTLP endpoint")
	c.Flags().StringVar(&monitoring, "metrics", "", "answer Prometheus and health checks at host:port; :9464 is on the loopback interface (default: as the file says, else nowhere)")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "log details")
	return c
}

const diskClientsHelp = "who may open disks over TCP: named (a certificate that names the job), certified (any certificate of the sites' authority) or anybody (without TLS)"

const allowHelp = "[KIND=]DIR: a directory, file or device that jobs may use; KIND is sources, replicas, sockets or scripts (default: all four); can be repeated"

// upConfig reads the file of `tidemark up`; --dir goes before what it says.
func (a *app) upConfig(path string) (node.Config, error) {
	cfg, err := node.LoadConfig(path)
	if a.conn.dir != "" || cfg.Dir == "" {
		cfg.Dir = a.conn.directory()
	}
	return cfg, err
}

func siteNames(names []string) (out []cdp.Site) {
	for _, n := range names {
		out = append(out, cdp.Site(n))
	}
	return out
}

// greet says how to connect.
func (a *app) greet(s node.Started) {
	fmt.Fprintln(a.out, "Tidemark is up.")
	for _, x := range s.Here {
		ref := s.Context.Sites[x.Name]
		linked := ""
		if len(ref.Peers) > 0 {
			linked = fmt.Sprintf("  linked with %v", ref.Peers)
		}
		fmt.Fprintf(a.out, "  site %-8s  %s%s\n", x.Name, ref.URL, linked)
	}
	if s.Open {
		fmt.Fprintln(a.out, "OPEN: without users and passwords. Whoever reaches these addresses can do anything.")
	}
	if s.Trial {
		fmt.Fprintln(a.out, "TRIAL: the keys and passwords of all these sites are on this machine. Real sites have a\nmachine each, make their own, and are joined: tidemark site invite --help")
	}
	opt := ""
	if s.Dir != mustAbs(defaultDir) {
		opt = " --dir " + quoted(s.Dir)
	}
	fmt.Fprintf(a.out, "Commands talk to %s, or to the site of --site.\nTry:  %s status%s\nStop: ctrl-c\n", s.Context.Default, program(), opt)
}

// program is how this program is called in this shell: by its name if that finds it, else
// as it was called.
func program() string {
	const name = "tidemark"
	mine, err := os.Executable()
	if found, ferr := exec.LookPath(name); err == nil && ferr == nil {
		a, aerr := os.Stat(mine)
		b, berr := os.Stat(found)
		if aerr == nil && berr == nil && os.SameFile(a, b) {
			return name
		}
	}
	return quoted(os.Args[0])
}

func mustAbs(p string) string {
	if abs, err := filepath.Abs(p); err == nil {
		return abs
	}
	return p
}
