package client

import (
	"context"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
)

// vcenterTime is how long one question to a vcenter service may take: a vCenter is
// slow.
const vcenterTime = 30 * time.Second

// askVCenter asks the vcenter service of a site.
func (c *Client) askVCenter(ctx context.Context, site cdp.Site, endpoint string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, vcenterTime)
	defer cancel()
	return c.conn.Request(ctx, site, subjects.VCenter, endpoint, in, out)
}

// CheckSiteName is NotFound unless a site is this one or one that it is linked with.
func (c *Client) CheckSiteName(site cdp.Site) error {
	if site == c.site || slices.Contains(c.peers, site) {
		return nil
	}
	return cdp.Errorf(cdp.NotFound, "find site", string(site), "site %s is linked with %s", c.site, orNone(c.peers)).
		WithHint("talk to another site with --site")
}

// VCenterSites are this site and those that it is linked with, as far as they are
// described as having a vCenter; this one comes first. If none is described it is
// this one.
func (c *Client) VCenterSites(ctx context.Context) ([]cdp.Site, error) {
	all, err := c.Sites(ctx)
	if err != nil {
		return nil, err
	}
	var own, others []cdp.Site
	for _, s := range all {
		switch {
		case s.Kind != spec.SiteVSphere || c.CheckSiteName(s.Name) != nil:
		case s.Name == c.site:
			own = append(own, s.Name)
		default:
			others = append(others, s.Name)
		}
	}
	if len(own)+len(others) == 0 {
		own = []cdp.Site{c.site}
	}
	return append(own, others...), nil
}

// CheckSite asks whether a site can do what it is used for.
func (c *Client) CheckSite(ctx context.Context, site cdp.Site, uses []inventory.Role) (r api.SiteCheck, err error) {
	err = c.askVCenter(ctx, site, api.VCenterCheck, api.CheckRequest{For: append([]inventory.Role{inventory.Every}, uses...)}, &r)
	return r, c.silent(ctx, site, err)
}

// SiteUses are the roles that sites have in the jobs on VMs that are known here:
// those applied here, and those applied at linked sites.
func (c *Client) SiteUses(ctx context.Context) (map[cdp.Site][]inventory.Role, error) {
	jobs, err := c.VMJobs(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range c.peers {
		far, err := peerSpecs[spec.VMJob](ctx, c, p, subjects.KeyVMJob)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, far...)
	}
	out := map[cdp.Site][]inventory.Role{}
	add := func(s cdp.Site, r inventory.Role) {
		if !slices.Contains(out[s], r) {
			out[s] = append(out[s], r)
		}
	}
	for _, j := range jobs {
		add(j.SourceSite, inventory.AsSource)
		add(j.TargetSite, inventory.AsTarget)
		if j.Source.Capture == cdp.Tap {
			add(j.SourceSite, inventory.ForFilter)
		}
		if len(j.Target.Logins()) > 0 {
			add(j.TargetSite, inventory.ForGuests)
		}
	}
	return out, nil
}

// Unprotected are those of a site's VMs that no job protects, as far as it is known
// here: neither one applied here, nor one applied at a linked site. Templates, and VMs
// that Tidemark made, need no protection.
func (c *Client) Unprotected(ctx context.Context, site cdp.Site, vms []inventory.VM) ([]inventory.VM, error) {
	jobs, err := c.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range c.peers {
		far, err := peerSpecs[spec.ReplicationJob](ctx, c, p, subjects.KeyJob)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, far...)
	}
	has := map[string]bool{}
	for _, j := range jobs {
		if j.Source.Site == site && j.Source.VM != "" {
			has[j.Source.VM] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(vms), func(v inventory.VM) bool { return has[v.UUID] || v.Template || v.Ours() }), nil
}

// Inventory is what a site's vCenter has, with its VMs or without. fresh asks the
// vCenter now; the VMs are always asked for now.
func (c *Client) Inventory(ctx context.Context, site cdp.Site, fresh, withVMs bool) (inventory.Inventory, error) {
	var inv inventory.Inventory
	var vms []inventory.VM
	// The VMs come first, page by page: the first page asks the vCenter, and the
	// rest, and what is not a VM, is of the same moment.
	for after := ""; withVMs; {
		var page api.VMsReply
		if err := c.askVCenter(ctx, site, api.VCenterVMs, api.VMsRequest{After: after, Fresh: after == ""}, &page); err != nil {
			return inv, err
		}
		vms = append(vms, page.VMs...)
		if !page.More || len(page.VMs) == 0 {
			break
		}
		after = page.VMs[len(page.VMs)-1].Path
	}
	err := c.askVCenter(ctx, site, api.VCenterInventory, api.InventoryRequest{Fresh: fresh && !withVMs}, &inv)
	inv.VMs = vms
	return inv, err
}

// Filters are the I/O filters of a cluster, by name or path, or with an empty one
// of all clusters of a site.
func (c *Client) Filters(ctx context.Context, site cdp.Site, cluster string) ([]api.FiltersReply, error) {
	names := []string{cluster}
	if cluster == "" {
		inv, err := c.Inventory(ctx, site, false, false)
		if err != nil {
			return nil, err
		}
		names = nil
		for _, x := range inv.Clusters {
			names = append(names, x.Path)
		}
	}
	var out []api.FiltersReply
	for _, n := range names {
		var r api.FiltersReply
		if err := c.askVCenter(ctx, site, api.FilterStatus, api.FilterRequest{Cluster: n}, &r); err != nil {
			return nil, cdp.Wrap(err, "ask for I/O filters", n)
		}
		if r.Cluster == "" {
			r.Cluster = n
		}
		out = append(out, r)
	}
	return out, nil
}

// ChangeFilter changes an I/O filter, and waits until that is done, or ctx ends.
// Asked again with the same ID it goes on.
func (c *Client) ChangeFilter(ctx context.Context, site cdp.Site, r api.FilterRequest, shown func(api.Progress)) (api.Progress, error) {
	return c.longWork(ctx, site, "tidemark iofilter status", api.FilterChange, r, shown)
}

// Transporters are the transporters of a site.
func (c *Client) Transporters(ctx context.Context, site cdp.Site) ([]inventory.Appliance, error) {
	var r api.TransportersReply
	err := c.askVCenter(ctx, site, api.TransporterList, api.Empty{}, &r)
	return r.Transporters, err
}

// DeployTransporter makes or upgrades a transporter, and waits until that is done,
// or ctx ends.
func (c *Client) DeployTransporter(ctx context.Context, site cdp.Site, r api.DeployRequest, shown func(api.Progress)) (api.Progress, error) {
	return c.longWork(ctx, site, "tidemark transporter list", api.TransporterDeploy, r, shown)
}

// RemoveTransporter removes one, and waits until that is done, or ctx ends.
func (c *Client) RemoveTransporter(ctx context.Context, site cdp.Site, r api.RemoveRequest, shown func(api.Progress)) (api.Progress, error) {
	return c.longWork(ctx, site, "tidemark transporter list", api.TransporterRemove, r, shown)
}

func (c *Client) longWork(ctx context.Context, site cdp.Site, look, endpoint string, in any, shown func(api.Progress)) (api.Progress, error) {
	isSilent := func(err error) bool { return silent(err, subjects.VCenter) }
	return c.finish(ctx, isSilent, look, shown, func(ctx context.Context) (p api.Progress, err error) {
		return p, c.askVCenter(ctx, site, endpoint, in, &p)
	})
}

// orNone lists sites for people.
func orNone(sites []cdp.Site) string {
	if len(sites) == 0 {
		return "no other site"
	}
	text := string(sites[0])
	for i, s := range sites[1:] {
		if i == len(sites)-2 {
			text += " and " + string(s)
		} else {
			text += ", " + string(s)
		}
	}
	return text
}
