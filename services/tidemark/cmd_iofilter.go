package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

func (a *app) cmdIOFilter() *cobra.Command {
	return group("iofilter", "Install, upgrade, inspect and remove I/O filters on the hosts of a cluster",
		"  tidemark iofilter status --site prod\n  tidemark iofilter install --site prod --cluster Cluster-1 --bundle https://files.example.com/filter.zip",
		a.filterChange("install", "Install an I/O filter on all hosts of a cluster", "The hosts download the bundle from its URL. See which hosts cannot install it now with:\ntidemark iofilter issues",
			"  tidemark iofilter install --site prod --cluster Cluster-1 --bundle https://files.example.com/filter.zip", false, true),
		a.filterStatus("status", "Show the I/O filters of clusters, and their state on each host", false),
		a.filterStatus("issues", "Show what prevents I/O filters from working on hosts", true),
		a.filterChange("upgrade", "Upgrade an I/O filter on all hosts of a cluster", "The hosts download the bundle from its URL.",
			"  tidemark iofilter upgrade --site prod --cluster Cluster-1 --filter TMK_bootbank_tidemark_1.0.0 --bundle https://files.example.com/filter-2.zip", true, true),
		a.filterChange("uninstall", "Remove an I/O filter from all hosts of a cluster", "It is refused while disks use the filter: stop and delete their jobs first.",
			"  tidemark iofilter uninstall --site prod --cluster Cluster-1 --filter TMK_bootbank_tidemark_1.0.0", true, false),
		a.filterChange("resolve", "Have the vCenter retry what failed on hosts", "Put a host that must be in maintenance mode into it first.",
			"  tidemark iofilter resolve --site prod --cluster Cluster-1 --filter TMK_bootbank_tidemark_1.0.0", true, false))
}

// filterChange is a command that changes the filters of a cluster.
func (a *app) filterChange(do, short, more, example string, needFilter, needBundle bool) *cobra.Command {
	var site siteFlag
	var r api.FilterRequest
	var wait time.Duration
	c := &cobra.Command{
		Use: do + " --cluster CLUSTER", Short: short, Args: cobra.NoArgs, Long: long(short + ".\n" + more), Example: example,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case r.Cluster == "":
				return usage("no cluster given: use --cluster")
			case needFilter && r.Filter == "":
				return usage("no filter given: use --filter with an id from: tidemark iofilter status")
			case needBundle:
				if err := checkBundle(r.Bundle); err != nil {
					return err
				}
			}
			r.Do, r.ID = do, shortID("f")
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				s, err := site.of(cl)
				if err != nil {
					return err
				}
				ctx, cancel := context.WithTimeout(ctx, wait)
				defer cancel()
				return cdp.Wrap(a.changeFilter(ctx, cl, s, r), do+" I/O filter", r.Cluster)
			})
		},
	}
	site.register(c)
	c.Flags().StringVar(&r.Cluster, "cluster", "", "the cluster, by name or inventory path")
	if needFilter {
		c.Flags().StringVar(&r.Filter, "filter", "", "the filter's id, as listed by: tidemark iofilter status")
	}
	if needBundle {
		c.Flags().StringVar(&r.Bundle, "bundle", "", "the http:// or https:// URL from which the hosts download the bundle")
	}
	c.Flags().DurationVar(&wait, "timeout", 30*time.Minute, "how long to wait")
	return c
}

func checkBundle(raw string) error {
	u, err := url.Parse(raw)
	if raw == "" || err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return usage("--bundle %q: use the http:// or https:// URL from which the hosts download it", raw)
	}
	return nil
}

// changeFilter makes a change and prints the outcome. It refuses what can never be
// done there before it tries anything.
func (a *app) changeFilter(ctx context.Context, c *client.Client, site cdp.Site, r api.FilterRequest) error {
	before, err := clusterFilters(ctx, c, site, r.Cluster)
	if err != nil {
		return err
	}
	if before.Cannot != "" {
		return cdp.Errorf(cdp.Conflict, "check cluster", before.Cluster, "its I/O filters cannot be managed here: %s", before.Cannot)
	}
	if r.Filter != "" && !slices.ContainsFunc(before.Filters, func(f inventory.Filter) bool { return f.ID == r.Filter }) {
		return noFilter(r, before)
	}
	m := newMeter(a, r.Cluster)
	p, err := c.ChangeFilter(ctx, site, r, m.show)
	m.close()
	if err != nil {
		return err
	}
	after, err := clusterFilters(ctx, c, site, r.Cluster)
	if err != nil {
		return err
	}
	about := slices.DeleteFunc(after.Filters, func(f inventory.Filter) bool {
		if r.Filter != "" {
			return f.ID != r.Filter
		}
		known := slices.ContainsFunc(before.Filters, func(b inventory.Filter) bool { return b.ID == f.ID })
		return known && f.Bundle != bareURL(r.Bundle)
	})
	if r.Do == "install" && len(about) == 0 {
		return cdp.Errorf(cdp.Conflict, "install I/O filter", r.Cluster, "not complete: the vCenter accepted the bundle, but lists no filter of it").
			WithHint("check again in a moment: tidemark iofilter status --site " + string(site) + " --cluster " + quoted(r.Cluster))
	}
	for _, f := range about {
		if err := incomplete(site, r, f); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.out, "%s of %s at site %s done%s\n", r.Do, r.Cluster, site, because(p.Text))
	for _, f := range about {
		fmt.Fprintf(a.out, "  %s: %s\n", f.ID, filterText(f))
	}
	return nil
}

// noFilter is the error of a filter that does not exist; it names those that do.
func noFilter(r api.FilterRequest, has api.FiltersReply) error {
	var ids []string
	for _, f := range has.Filters {
		ids = append(ids, f.ID)
	}
	if len(ids) == 0 {
		return cdp.Errorf(cdp.NotFound, "find I/O filter", r.Filter, "the cluster has no I/O filter")
	}
	return cdp.Errorf(cdp.NotFound, "find I/O filter", r.Filter, "the cluster has %s", strings.Join(ids, ", "))
}

// bareURL is a URL without user and password.
func bareURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	u.User = nil
	return u.String()
}

// incomplete is the error of a change that is not done on some hosts, and says how to
// continue; nil: it is done on all.
func incomplete(site cdp.Site, r api.FilterRequest, f inventory.Filter) error {
	var waits, others []string
	for _, h := range f.Pending() {
		if h.NeedsMaintenance() && !h.Maintenance {
			waits = append(waits, h.Name)
		} else {
			others = append(others, h.Name+" ("+cmp.Or(strings.Join(h.Issues, "; "), string(h.State))+")")
		}
	}
	if len(waits)+len(others) == 0 {
		return nil
	}
	var parts []string
	resolve := fmt.Sprintf("tidemark iofilter resolve --site %s --cluster %s --filter %s", site, quoted(r.Cluster), f.ID)
	hint := "when that is fixed: " + resolve
	if len(waits) > 0 {
		verb := "wait"
		if len(waits) == 1 {
			verb = "waits"
		}
		parts = append(parts, fmt.Sprintf("%s %s for maintenance mode: %s", count(len(waits), "host"), verb, strings.Join(waits, ", ")))
		hint = "put one host after the other into maintenance mode, and each time run: " + resolve
	}
	if len(others) > 0 {
		parts = append(parts, fmt.Sprintf("not done on %s: %s", count(len(others), "host"), strings.Join(others, ", ")))
	}
	doing := ""
	if f.Doing != "" && f.Doing != r.Do {
		doing = " (its " + f.Doing + ")"
	}
	return cdp.Errorf(cdp.Conflict, r.Do+" I/O filter", f.ID, "not complete%s: %s", doing, strings.Join(parts, "; ")).WithHint(hint)
}

// unquoted is what a shell takes as it is.
var unquoted = regexp.MustCompile(`^[\pL\pN_./:@%+=,-]+$`)

// quoted is a name as a shell takes it.
func quoted(name string) string {
	if unquoted.MatchString(name) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

// filterText says on how many hosts a filter is, and what is still to be done.
func filterText(f inventory.Filter) string {
	pending, all := len(f.Pending()), count(len(f.Hosts), "host")
	switch {
	case pending == 0:
		return "installed on " + all
	case f.Doing == "uninstall":
		return fmt.Sprintf("uninstall pending on %d of %s", pending, all)
	}
	return fmt.Sprintf("installed on %d of %s, %s pending on %d", len(f.Hosts)-pending, all, cmp.Or(f.Doing, "install"), pending)
}

// siteFilters are the filters of a site's clusters.
type siteFilters struct {
	Site cdp.Site `json:"site"`
	api.FiltersReply
}

// clusterFilters are the filters of one cluster.
func clusterFilters(ctx context.Context, c *client.Client, site cdp.Site, cluster string) (api.FiltersReply, error) {
	all, err := c.Filters(ctx, site, cluster)
	if err != nil {
		return api.FiltersReply{}, err
	}
	return all[0], nil
}

// filterStatus is a command that lists filters by host, or only hosts with issues.
func (a *app) filterStatus(use, short string, issues bool) *cobra.Command {
	var site siteFlag
	var cluster string
	var out format
	c := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		Long:    long(short + ". Without --cluster all clusters of a site are\nshown, without --site this site and those it is linked with. If a site does not answer,\nthe reason is printed and the others are shown."),
		Example: "  tidemark iofilter " + use + "\n  tidemark iofilter " + use + " --site prod --cluster Cluster-1 -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				sites, err := vcenterSites(ctx, cl, site.name)
				if err != nil {
					return err
				}
				var all []siteFilters
				var first error
				good := 0
				for _, s := range sites {
					list, err := cl.Filters(ctx, s, cluster)
					if err != nil {
						if first == nil {
							first = err
						}
						if len(sites) > 1 {
							fmt.Fprintln(a.err, silence(s, err))
						}
						continue
					}
					good++
					for _, r := range list {
						all = append(all, siteFilters{s, r})
					}
				}
				if good == 0 {
					return first
				}
				if issues {
					onlyIssues(all)
				}
				return a.showFilters(out, all, issues)
			})
		},
	}
	site.register(c)
	out.register(c)
	c.Flags().StringVar(&cluster, "cluster", "", "the cluster, by name or inventory path (default: all)")
	return c
}

// onlyIssues keeps the hosts that have issues.
func onlyIssues(all []siteFilters) {
	for _, x := range all {
		for i := range x.Filters {
			x.Filters[i].Hosts = slices.DeleteFunc(x.Filters[i].Hosts, func(h inventory.FilterHost) bool { return len(h.Issues) == 0 })
		}
	}
}

func (a *app) showFilters(out format, all []siteFilters, issues bool) error {
	if out.text() {
		for _, x := range all {
			for _, f := range x.Filters {
				if !issues {
					fmt.Fprintf(a.out, "%s %s: %s; used by %s\n", x.Cluster, f.ID, filterText(f), count(len(f.Disks), "disk"))
				}
			}
			switch {
			case x.Cannot != "":
				fmt.Fprintf(a.out, "%s: I/O filters cannot be managed here: %s\n", x.Cluster, x.Cannot)
			case len(x.Filters) == 0:
				fmt.Fprintf(a.out, "%s: no I/O filter is installed\n", x.Cluster)
			}
		}
	}
	found := false
	err := out.print(a.out, all, []string{"site", "cluster", "filter*", "version", "host", "state", "issues"}, func(add func(...any)) {
		for _, x := range all {
			for _, f := range x.Filters {
				for _, h := range f.Hosts {
					found = found || len(h.Issues) > 0
					state := string(h.State)
					if f.Doing != "" && (h.State == inventory.FilterPending || h.State == inventory.FilterFailed) {
						state = f.Doing + " " + state
					}
					if h.Maintenance {
						state += ", in maintenance"
					}
					add(x.Site, x.Cluster, f.ID, f.Version, h.Name, state, strings.Join(h.Issues, "; "))
				}
			}
		}
	})
	if found && out.text() {
		fmt.Fprintf(a.out, "\nwhen an issue is fixed: tidemark iofilter resolve --site SITE --cluster CLUSTER --filter ID\n")
	}
	return err
}
