package vcenter

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
)

// filterStatus handles api.FilterStatus.
func (s *Service) filterStatus(ctx context.Context, r api.FilterRequest) (any, error) {
	vc, err := s.vcenter(ctx)
	if err != nil {
		return nil, err
	}
	inv, err := s.lately(ctx)
	if err != nil {
		return nil, err
	}
	reply := api.FiltersReply{Cluster: r.Cluster, Filters: []inventory.Filter{}}
	if inv.About.ESX {
		reply.Cannot = cannotFilter(inv, inventory.Cluster{})
		return reply, nil
	}
	c, err := cluster(inv, r.Cluster)
	if err != nil {
		return nil, err
	}
	reply.Cluster, reply.Cannot = c.Path, cannotFilter(inv, c)
	filters, err := vc.Filters(ctx, c.Ref)
	if err != nil {
		if reply.Cannot != "" {
			return reply, nil
		}
		return nil, err
	}
	reply.Filters = append(reply.Filters, filters...)
	return reply, nil
}

// cluster finds one by name, path or reference.
func cluster(inv inventory.Inventory, name string) (inventory.Cluster, error) {
	for _, c := range inv.Clusters {
		if string(c.Ref) == name {
			return c, nil
		}
	}
	c, why := inv.FindCluster(name)
	if why != "" {
		return c, cdp.Errorf(cdp.NotFound, "find cluster", name, "%s", strings.TrimSuffix(why, " at the target"))
	}
	return c, nil
}

// cannotFilter is why I/O filters cannot be managed at a cluster; empty: they
// can.
func cannotFilter(inv inventory.Inventory, c inventory.Cluster) string {
	if inv.About.ESX {
		return "a single ESXi host has no I/O filter manager: it needs a vCenter"
	}
	if c.ImageManaged {
		return "the cluster's software is kept by an image (vSphere Lifecycle Manager): add the filter's component to the image"
	}
	for _, h := range inv.Hosts {
		if slices.Contains(c.Hosts, h.Ref) && older(h.Version, 6, 0) {
			return fmt.Sprintf("the host %s has ESXi %s, and I/O filters need 6.0", h.Name, h.Version)
		}
	}
	return ""
}

// older says whether a version is before major.minor; one that cannot be read
// is not.
func older(version string, major, minor int) bool {
	a, rest, _ := strings.Cut(version, ".")
	b, _, _ := strings.Cut(rest, ".")
	x, err := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return err == nil && (x < major || x == major && y < minor)
}

// filterChange handles api.FilterChange. A change with an ID is done once.
func (s *Service) filterChange(ctx context.Context, r api.FilterRequest) (any, error) {
	switch {
	case !slices.Contains([]string{"install", "upgrade", "uninstall", "resolve"}, r.Do):
		return nil, cdp.Errorf(cdp.Invalid, "change I/O filter", r.Cluster, "%q: want install, upgrade, uninstall or resolve", r.Do)
	case (r.Do == "install" || r.Do == "upgrade") && r.Bundle == "":
		return nil, cdp.Errorf(cdp.Invalid, "change I/O filter", r.Cluster, "the bundle's URL is needed, from which the hosts fetch it")
	case r.Do != "install" && r.Filter == "":
		return nil, cdp.Errorf(cdp.Invalid, "change I/O filter", r.Cluster, "the filter must be named, by id")
	}
	if r.ID != "" {
		if err := cdp.CheckName("id", strings.ToLower("x"+r.ID)); err != nil {
			return nil, err
		}
	}
	id := strings.Join([]string{r.Do, r.Filter, r.Bundle, r.ID}, " ")
	_, p, err := inLane(ctx, s.lanes, "filter/"+r.Cluster, id, func(ctx context.Context, tell report) (api.Empty, error) {
		return api.Empty{}, s.changeFilter(ctx, r, tell)
	})
	return p, err
}

func (s *Service) changeFilter(ctx context.Context, r api.FilterRequest, tell report) error {
	op := r.Do + " I/O filter"
	done, err := load[string](ctx, s, keyChange+strings.ToLower(r.ID))
	if err != nil {
		return err
	}
	if r.ID != "" && done.exists() {
		tell(done.Value, 0, 0)
		return nil
	}
	vc, err := s.vcenter(ctx)
	if err != nil {
		return err
	}
	inv, err := s.inventory(ctx, true)
	if err != nil {
		return err
	}
	c, err := cluster(inv, r.Cluster)
	if err != nil && !inv.About.ESX {
		return err
	}
	if why := cannotFilter(inv, c); why != "" {
		return cdp.Errorf(cdp.Conflict, op, r.Cluster, "%s", why)
	}
	before, err := vc.Filters(ctx, c.Ref)
	if err != nil {
		return cdp.Wrap(err, op, c.Path)
	}
	tell(r.Do+" at "+c.Name, 0, 0)
	switch r.Do {
	case "install":
		err = vc.InstallFilter(ctx, c.Ref, r.Bundle)
	case "upgrade":
		err = vc.UpgradeFilter(ctx, c.Ref, r.Filter, r.Bundle)
	case "resolve":
		err = vc.ResolveFilter(ctx, c.Ref, r.Filter)
	case "uninstall":
		if err = inUse(before, r.Filter); err == nil && hasFilter(before, r.Filter) {
			err = vc.UninstallFilter(ctx, c.Ref, r.Filter)
		}
	}
	if cdp.Is(err, cdp.Duplicate) {
		err = nil
	}
	after, ferr := vc.Filters(ctx, c.Ref)
	if ferr == nil {
		s.tellFilters(ctx, c, r, before, after, err)
	}
	if err != nil {
		return cdp.Wrap(err, op, c.Path)
	}
	if ferr != nil {
		return cdp.Wrap(ferr, op, c.Path)
	}
	// That the vCenter took it says nothing of the hosts: see filterStatus.
	text := "the vCenter has taken the " + r.Do + " at " + c.Name
	tell(text, 0, 0)
	if r.ID != "" {
		done.Value = text
		return done.save(ctx, s)
	}
	return nil
}

func hasFilter(in []inventory.Filter, id string) bool {
	return slices.ContainsFunc(in, func(f inventory.Filter) bool { return f.ID == id })
}

// inUse refuses to take a filter away from disks that use it.
func inUse(in []inventory.Filter, id string) error {
	for _, f := range in {
		if f.ID == id && len(f.Disks) > 0 {
			d := f.Disks[0]
			return cdp.Errorf(cdp.Conflict, "uninstall I/O filter", id, "%d disks use it, among them %s of %s", len(f.Disks), cmp.Or(d.Path, d.Disk), d.VM).
				WithHint("delete the jobs that tap them first")
		}
	}
	return nil
}

// tellFilters tells how the filters that the change was about stand now.
func (s *Service) tellFilters(ctx context.Context, c inventory.Cluster, r api.FilterRequest, before, after []inventory.Filter, failed error) {
	site, err := s.deps.Site(ctx)
	if err != nil {
		s.deps.Notify(err)
		return
	}
	tell := func(id string, state event.FilterState, text string) {
		s.emit(ctx, event.VCenterFilterChanged{Site: site.Name, Cluster: c.Name, Filter: id, State: state, Text: clip(text, longestText)})
	}
	for _, f := range after {
		if r.Filter != "" && f.ID != r.Filter || r.Filter == "" && hasFilter(before, f.ID) && failed == nil {
			continue
		}
		var not []string
		for _, h := range f.Pending() {
			not = append(not, fmt.Sprintf("%s: %s %s", h.Name, h.State, strings.Join(h.Issues, ", ")))
		}
		switch {
		case failed != nil:
			tell(f.ID, event.FilterFailed, failed.Error())
		case f.Doing == "uninstall":
			tell(f.ID, event.FilterPartlyRemoved, "it waits for hosts: "+strings.Join(not, "; "))
		case len(not) > 0:
			tell(f.ID, event.FilterPartlyInstalled, strings.Join(not, "; "))
		default:
			tell(f.ID, event.FilterInstalled, fmt.Sprintf("it is installed on %d hosts", len(f.Hosts)))
		}
	}
	for _, f := range before {
		if !hasFilter(after, f.ID) {
			tell(f.ID, event.FilterRemoved, "it is on no host of the cluster any more")
		}
	}
}
