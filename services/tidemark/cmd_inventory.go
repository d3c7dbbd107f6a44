package main

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/inventory"
)

// The kinds of things that an inventory has, in the order they are shown.
var (
	inventoryKinds = []string{"datacenters", "clusters", "hosts", "datastores", "networks", "folders", "pools", "vms"}
	defaultKinds   = []string{"datacenters", "clusters", "hosts", "datastores", "networks", "vms"}
)

// siteInventory is a site's inventory, or why there is none.
type siteInventory struct {
	Site cdp.Site `json:"site"`
	*inventory.Inventory
	Error string `json:"error,omitempty"`
}

func (a *app) cmdInventory() *cobra.Command {
	var out format
	var kinds []string
	var fresh, unprotected bool
	c := &cobra.Command{
		Use: "inventory [SITE]", Short: "List what a site's vCenter has", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.complete(siteNamesOf),
		Long: long(`List datacenters, clusters, hosts, datastores, networks and VMs with their disks and
tags, of one site or of all sites of kind vsphere. If a site does not answer, the
reason is printed and the others are listed. The output of -o json and yaml is a list
of inventories, one per site, with everything that is known.`),
		Example: `  tidemark inventory
  tidemark inventory prod --kind vms
  tidemark inventory prod --unprotected
  tidemark inventory dr --kind datastores,networks
  tidemark inventory prod -o json`,
		RunE: func(c *cobra.Command, args []string) error {
			if unprotected && len(kinds) > 0 {
				return usage("--unprotected lists VMs: leave out --kind")
			}
			if unprotected {
				kinds = []string{"vms"}
			}
			for _, k := range kinds {
				if !slices.Contains(inventoryKinds, k) {
					return usage("unknown kind %q: use %s", k, strings.Join(inventoryKinds, ", "))
				}
			}
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				named := ""
				if len(args) > 0 {
					named = args[0]
				}
				sites, err := vcenterSites(ctx, cl, named)
				if err != nil {
					return err
				}
				return a.inventory(ctx, cl, out, sites, inventoryWanted{kinds, fresh, unprotected})
			})
		},
	}
	c.Flags().StringSliceVar(&kinds, "kind", nil, "only these kinds: "+strings.Join(inventoryKinds, ", "))
	c.Flags().BoolVar(&fresh, "fresh", false, "ask the vCenter now instead of using a recent answer")
	c.Flags().BoolVar(&unprotected, "unprotected", false, "only VMs that no job protects, without templates and VMs that Tidemark made")
	out.register(c)
	completeWords(c, "kind", inventoryKinds...)
	return c
}

// inventoryWanted is what of an inventory is printed.
type inventoryWanted struct {
	kinds              []string // none: the usual ones
	fresh, unprotected bool
}

// inventory prints the inventories of sites. It fails only if no site answers.
func (a *app) inventory(ctx context.Context, c *client.Client, out format, sites []cdp.Site, w inventoryWanted) error {
	kinds := w.kinds
	var list []siteInventory
	var first error
	good := 0
	for _, s := range sites {
		inv, err := c.Inventory(ctx, s, w.fresh, len(kinds) == 0 || slices.Contains(kinds, "vms"))
		if err == nil && w.unprotected {
			inv.VMs, err = c.Unprotected(ctx, s, inv.VMs)
		}
		x := siteInventory{Site: s, Inventory: &inv}
		if err != nil {
			x.Inventory, x.Error = nil, err.Error()
			if first == nil {
				first = cdp.Wrap(err, "list inventory", string(s))
			}
		} else {
			good++
		}
		if !out.text() {
			if x.Inventory != nil {
				only(x.Inventory, kinds)
			}
			list = append(list, x)
			continue
		}
		if err != nil {
			if len(sites) > 1 {
				fmt.Fprintln(a.err, silence(s, err))
			}
			continue
		}
		if good > 1 {
			fmt.Fprintln(a.out)
		}
		if err := tables(a.out, x, kinds); err != nil {
			return err
		}
	}
	if good == 0 {
		return first
	}
	if !out.text() {
		return out.print(a.out, list, []string{"name"}, func(add func(...any)) {
			for _, x := range list {
				inventoryNames(x, kinds, add)
			}
		})
	}
	return nil
}

// inventoryNames adds the names of what an inventory has.
func inventoryNames(x siteInventory, kinds []string, add func(...any)) {
	if x.Inventory == nil {
		return
	}
	if len(kinds) == 0 {
		kinds = defaultKinds
	}
	for _, k := range kinds {
		_, rows := inventoryTable(*x.Inventory, k, nil, nil)
		for _, r := range rows {
			add(r[0])
		}
	}
}

// only keeps some kinds in an inventory; none means all.
func only(inv *inventory.Inventory, kinds []string) {
	if len(kinds) == 0 {
		return
	}
	whole := *inv
	*inv = inventory.Inventory{Site: whole.Site, About: whole.About}
	for _, k := range kinds {
		switch k {
		case "datacenters":
			inv.Datacenters = whole.Datacenters
		case "clusters":
			inv.Clusters = whole.Clusters
		case "hosts":
			inv.Hosts = whole.Hosts
		case "datastores":
			inv.Datastores = whole.Datastores
		case "networks":
			inv.Networks = whole.Networks
		case "folders":
			inv.Folders = whole.Folders
		case "pools":
			inv.Pools = whole.Pools
		case "vms":
			inv.VMs = whole.VMs
		}
	}
}

// tables writes an inventory, a table per kind.
func tables(w io.Writer, x siteInventory, kinds []string) error {
	inv := x.Inventory
	fmt.Fprintf(w, "site %s: %s\n", x.Site, aboutText(inv.About))
	if len(kinds) == 0 {
		kinds = defaultKinds
	}
	hosts, clusters := map[inventory.Ref]string{}, map[inventory.Ref]string{}
	for _, h := range inv.Hosts {
		hosts[h.Ref] = h.Name
	}
	for _, c := range inv.Clusters {
		clusters[c.Ref] = c.Name
	}
	for _, k := range inventoryKinds {
		if !slices.Contains(kinds, k) {
			continue
		}
		head, rows := inventoryTable(*inv, k, hosts, clusters)
		fmt.Fprintf(w, "\n%s\n", k)
		err := asTable.print(w, nil, head, func(add func(...any)) {
			for _, r := range rows {
				add(r...)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// inventoryTable is one kind's: its head and rows.
func inventoryTable(inv inventory.Inventory, kind string, hosts, clusters map[inventory.Ref]string) (head []string, rows [][]any) {
	add := func(cells ...any) { rows = append(rows, cells) }
	places := map[string][]inventory.Place{"datacenters": inv.Datacenters, "folders": inv.Folders, "pools": inv.Pools}
	switch kind {
	case "clusters":
		head = []string{"name", "hosts", "software", "path"}
		for _, c := range inv.Clusters {
			add(c.Name, len(c.Hosts), map[bool]string{true: "by image (vLCM)", false: "by baselines"}[c.ImageManaged], c.Path)
		}
	case "hosts":
		head = []string{"name", "cluster", "state", "version", "newest hardware", "path"}
		for _, h := range inv.Hosts {
			state := h.State
			if h.Maintenance {
				state += ", maintenance"
			}
			add(h.Name, clusters[h.Cluster], state, strings.TrimSpace(h.Version+" "+h.Build), h.Newest, h.Path)
		}
	case "datastores":
		head = []string{"name", "kind", "free", "capacity", "hosts", "path"}
		for _, d := range inv.Datastores {
			free := bytesText(d.Free)
			if !d.Accessible {
				free = "not accessible"
			}
			add(d.Name, d.Kind, free, bytesText(d.Capacity), len(d.Hosts), d.Path)
		}
	case "networks":
		head = []string{"name", "kind", "path"}
		for _, n := range inv.Networks {
			add(n.Name, n.Kind, n.Path)
		}
	case "vms":
		head = []string{"name", "power", "host", "cpus", "memory", "disk", "size", "file", "tags", "folder"}
		for _, v := range inv.VMs {
			line := []any{v.Name, powerText(v), hosts[v.Host], v.Hardware.CPUs, bytesText(v.Hardware.MemoryMB << 20)}
			tags, folder := strings.Join(v.Tags, " "), path.Dir(v.Path)
			if len(v.Hardware.Disks) == 0 {
				add(append(line, "none", "", "", tags, folder)...)
			}
			for _, d := range v.Hardware.Disks {
				add(append(line, v.Hardware.Address(d), bytesText(d.Size), d.File, tags, folder)...)
				line, tags, folder = []any{"", "", "", "", ""}, "", ""
			}
		}
	default:
		head = []string{"name", "path"}
		for _, p := range places[kind] {
			add(p.Name, p.Path)
		}
	}
	return head, rows
}

func powerText(v inventory.VM) string {
	text := string(v.Power)
	if v.State != "" && v.State != "connected" {
		text += ", " + v.State
	}
	if v.Template {
		text += ", template"
	}
	if v.Consolidate {
		text += ", needs consolidation"
	}
	return text
}

func bytesText(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
