package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

func (a *app) cmdTransporter() *cobra.Command {
	return group("transporter", "Deploy, list, upgrade and remove transporters",
		"  tidemark transporter list\n  tidemark transporter deploy --site dr --name tidemark-dr --host esx11 --datastore ds1 --network Management",
		a.cmdTransporterDeploy(), a.cmdTransporterList(), a.cmdTransporterUpgrade(), a.cmdTransporterRemove())
}

// siteFlag says whose vCenter a command is about. It replaces the flag that says
// which site to talk to: these commands talk to the default site, which asks the
// site that is meant over its link.
type siteFlag struct{ name string }

func (f *siteFlag) register(c *cobra.Command) {
	c.Flags().StringVar(&f.name, "site", "", "the site whose vCenter to use (default: the site that commands talk to)")
}

// of is the site, which must be this one or linked with it.
func (f *siteFlag) of(c *client.Client) (cdp.Site, error) {
	if f.name == "" {
		return c.Site(), nil
	}
	return cdp.Site(f.name), c.CheckSiteName(cdp.Site(f.name))
}

// settings are the settings of a transporter, as flags.
type settings struct{ values, files []string }

func (s *settings) register(c *cobra.Command) {
	c.Flags().StringArrayVar(&s.values, "set", nil, "a setting KEY=VALUE, passed to the VM as guestinfo.tidemark.KEY; can be repeated")
	c.Flags().StringArrayVar(&s.files, "set-file", nil, "a setting KEY=PATH whose value is the content of a file, for secrets; can be repeated")
}

var settingRE = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,63}$`)

// read gives the settings by key.
func (s settings) read() (map[string]string, error) {
	out := map[string]string{}
	put := func(flag, raw string, value func(string) (string, error)) error {
		key, v, ok := strings.Cut(raw, "=")
		if !ok || !settingRE.MatchString(key) {
			return usage("%s %q: write KEY=VALUE; a key consists of letters, digits, dots, dashes and underscores", flag, raw)
		}
		if _, twice := out[key]; twice {
			return usage("%s: %s is set twice", flag, key)
		}
		v, err := value(v)
		out[key] = v
		return err
	}
	for _, raw := range s.values {
		if err := put("--set", raw, func(v string) (string, error) { return v, nil }); err != nil {
			return nil, err
		}
	}
	for _, raw := range s.files {
		err := put("--set-file", raw, func(path string) (string, error) {
			data, err := os.ReadFile(path)
			if err != nil {
				return "", &cdp.Error{Op: "read setting", Kind: cdp.Invalid, Subject: path, Cause: err}
			}
			return string(data), nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

const ovaHelp = `The OVA is a file on the machine that the site's services run on. A relative path is
resolved here. Without --ova it is Tidemark's own (make ova): tidemark-transporter.ova
beside the program, or in /usr/share/tidemark.`

func (a *app) cmdTransporterDeploy() *cobra.Command {
	var site siteFlag
	var set settings
	var r api.DeployRequest
	var wait time.Duration
	c := &cobra.Command{
		Use: "deploy --name NAME --host HOST --datastore DATASTORE --network NETWORK", Short: "Deploy a transporter from an OVA and start it", Args: cobra.NoArgs,
		Long: long("Import an OVA as a VM, pass it its settings, start it, and wait until its journal\nservice answers on the bus. Deploying it again with the same settings changes nothing.\n" + ovaHelp),
		Example: `  tidemark transporter deploy --site dr --name tidemark-dr \
    --host esx11 --datastore ds1 --network Management \
    --set site=dr --set peers=prod --set nats=nats://10.9.0.2:4223 --set-file credentials=secrets/journal.json`,
		RunE: func(c *cobra.Command, _ []string) error {
			if r.Name == "" {
				return usage("--name is required")
			}
			return a.deploy(c.Context(), site, set, r, wait)
		},
	}
	deployFlags(c, &site, &set, &r, &wait)
	c.Flags().StringVar(&r.Name, "name", "", "the name of the VM")
	return c
}

func deployFlags(c *cobra.Command, site *siteFlag, set *settings, r *api.DeployRequest, wait *time.Duration) {
	p := c.Flags()
	site.register(c)
	set.register(c)
	p.StringVar(&r.OVA, "ova", "", "the OVA, a file on the machine of the site's services (default: Tidemark's own)")
	p.StringVar(&r.Host, "host", "", "the ESXi host, by name or inventory path")
	p.StringVar(&r.Datastore, "datastore", "", "the datastore, by name or inventory path")
	p.StringVar(&r.Network, "network", "", "the network, by name or inventory path")
	p.StringVar(&r.Folder, "folder", "", "the folder of the VM (default: the datacenter's VM folder)")
	p.DurationVar(wait, "timeout", 30*time.Minute, "how long to wait")
}

// deploy asks for a transporter until it is there.
func (a *app) deploy(ctx context.Context, site siteFlag, set settings, r api.DeployRequest, wait time.Duration) error {
	for _, f := range []struct{ flag, value string }{{"host", r.Host}, {"datastore", r.Datastore}, {"network", r.Network}} {
		if f.value == "" {
			return usage("--%s is required", f.flag)
		}
	}
	var err error
	if r.Settings, err = set.read(); err != nil {
		return err
	}
	if r.OVA != "" {
		if r.OVA, err = filepath.Abs(r.OVA); err != nil {
			return usage("--ova %s: %v", r.OVA, err)
		}
	}
	return a.with(ctx, func(ctx context.Context, cl *client.Client) error {
		s, err := site.of(cl)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		m := newMeter(a, r.Name)
		p, err := cl.DeployTransporter(ctx, s, r, m.show)
		m.close()
		do, done := "deploy", "deployed"
		if r.Upgrade {
			do, done = "upgrade", "upgraded"
		}
		if err != nil {
			return cdp.Wrap(err, do+" transporter", r.Name)
		}
		fmt.Fprintf(a.out, "%s %s at site %s%s\n", r.Name, done, s, because(p.Text))
		return nil
	})
}

func (a *app) cmdTransporterUpgrade() *cobra.Command {
	var site siteFlag
	var set settings
	r := api.DeployRequest{Upgrade: true}
	var wait time.Duration
	c := &cobra.Command{
		Use: "upgrade NAME --host HOST --datastore DATASTORE --network NETWORK", Short: "Replace a transporter by one from a newer OVA", Args: cobra.ExactArgs(1),
		Long: long(`Deploy a new transporter in place of an old one. The old one is powered off and kept
until the new one answers; if it never does, the old one is started again. Give the
placement and the settings as for deploy. The journals of Tidemark's own transporter move
to the new VM, with its data disk. Of any other OVA, the upgrade is refused while the old
transporter holds a journal, or does not answer, so that this is unknown.
` + ovaHelp),
		Example: "  tidemark transporter upgrade tidemark-dr --site dr --host esx11 --datastore ds1 --network Management",
		RunE: func(c *cobra.Command, args []string) error {
			r.Name = args[0]
			return a.deploy(c.Context(), site, set, r, wait)
		},
	}
	deployFlags(c, &site, &set, &r, &wait)
	return c
}

func (a *app) cmdTransporterRemove() *cobra.Command {
	var site siteFlag
	var force bool
	var wait time.Duration
	c := &cobra.Command{
		Use: "remove NAME", Short: "Remove a transporter that holds no journal", Args: cobra.ExactArgs(1),
		Long: long(`Power a transporter off and delete its VM. This is refused if the transporter holds a
journal, whose recovery points would be lost, or does not answer, powered on or off,
so that what it holds is unknown; unless it has never answered since it was deployed.
With --force it is removed whatever it holds, and a deployment or upgrade of it in
progress is ended.`),
		Example: "  tidemark transporter remove tidemark-old --site dr",
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				s, err := site.of(cl)
				if err != nil {
					return err
				}
				ctx, cancel := context.WithTimeout(ctx, wait)
				defer cancel()
				m := newMeter(a, args[0])
				_, err = cl.RemoveTransporter(ctx, s, api.RemoveRequest{Name: args[0], Force: force}, m.show)
				m.close()
				if err != nil {
					return cdp.Wrap(err, "remove transporter", args[0])
				}
				fmt.Fprintf(a.out, "%s removed from site %s\n", args[0], s)
				return nil
			})
		},
	}
	site.register(c)
	c.Flags().BoolVar(&force, "force", false, "even if it holds journals, whose recovery points are lost then, or is being deployed")
	c.Flags().DurationVar(&wait, "timeout", 10*time.Minute, "how long to wait")
	return c
}

// siteTransporters are those of a site, or why they are not known.
type siteTransporters struct {
	Site         cdp.Site              `json:"site"`
	Transporters []inventory.Appliance `json:"transporters"`
	Error        string                `json:"error,omitempty"`
}

func (a *app) cmdTransporterList() *cobra.Command {
	var site siteFlag
	var out format
	c := &cobra.Command{
		Use: "list", Short: "List the transporters of both sites", Args: cobra.NoArgs,
		Long:    long("List the transporters at the sites' vCenters, whether they answer, and\nthe groups whose journals they hold. A site that does not answer is left out with\nthe reason, unless it was named."),
		Example: "  tidemark transporter list\n  tidemark transporter list --site dr -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				sites, err := vcenterSites(ctx, cl, site.name)
				if err != nil {
					return err
				}
				var list []siteTransporters
				var first error
				for _, s := range sites {
					found, err := cl.Transporters(ctx, s)
					x := siteTransporters{Site: s, Transporters: found}
					if err != nil {
						x.Error = err.Error()
						if first == nil {
							first = cdp.Wrap(err, "list transporters", string(s))
						}
						if len(sites) > 1 {
							fmt.Fprintln(a.err, silence(s, err))
						}
					}
					list = append(list, x)
				}
				if first != nil && !anyGood(list) {
					return first
				}
				return out.print(a.out, list, []string{"site", "name*", "host", "power", "answers", "version", "free slots", "holds"}, func(add func(...any)) {
					for _, x := range list {
						for _, t := range x.Transporters {
							add(x.Site, t.Name, t.Host, t.Power, map[bool]string{true: "yes", false: "no"}[t.Answers], t.Version, t.Free, strings.Join(t.Holds, " "))
						}
					}
				})
			})
		},
	}
	site.register(c)
	out.register(c)
	return c
}

func anyGood(list []siteTransporters) bool {
	for _, x := range list {
		if x.Error == "" {
			return true
		}
	}
	return false
}
