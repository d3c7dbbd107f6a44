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

// filters manage the life of I/O filters on the site's clusters.
type filters struct {
	connect func(context.Context) (filtered, error)
	cache   *inventoryCache
	lanes   *lanes
	records Records
	report  *reporter
}

// filtered is what filters need of a vCenter.
type filtered interface {
	FilterReader
	FilterLife
}

// status handles api.FilterStatus.
func (f *filters) status(ctx context.Context, r api.FilterRequest) (any, error) {
	vc, err := f.connect(ctx)
	if err != nil {
		return nil, err
	}
	inv, err := f.cache.recent(ctx)
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

// cluster finds a cluster by name, path or reference.
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

// cannotFilter is why I/O filters cannot be managed on a cluster; empty if they can.
func cannotFilter(inv inventory.Inventory, c inventory.Cluster) string {
	if inv.About.ESX {
		return "a single ESXi host has no I/O filter manager: it needs a vCenter"
	}
	if c.ImageManaged {
		return "an image (vSphere Lifecycle Manager) manages the cluster's software: add the filter's component to the image"
	}
	for _, h := range inv.Hosts {
		if slices.Contains(c.Hosts, h.Ref) && older(h.Version, 6, 0) {
			return fmt.Sprintf("the host %s runs ESXi %s, and I/O filters need 6.0", h.Name, h.Version)
		}
	}
	return ""
}

// older reports whether a version is before major.minor. A version that cannot be
// parsed is not.
func older(version string, major, minor int) bool {
	a, rest, _ := strings.Cut(version, ".")
	b, _, _ := strings.Cut(rest, ".")
	x, err := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return err == nil && (x < major || x == major && y < minor)
}

// change handles api.FilterChange. A change with an ID is done once.
func (f *filters) change(ctx context.Context, r api.FilterRequest) (any, error) {
	switch {
	case !slices.Contains([]string{"install", "upgrade", "uninstall", "resolve"}, r.Do):
		return nil, cdp.Errorf(cdp.Invalid, "change I/O filter", r.Cluster, "%q: want install, upgrade, uninstall or resolve", r.Do)
	case (r.Do == "install" || r.Do == "upgrade") && r.Bundle == "":
		return nil, cdp.Errorf(cdp.Invalid, "change I/O filter", r.Cluster, "the URL of the bundle is missing, from which the hosts fetch it")
	case r.Do != "install" && r.Filter == "":
		return nil, cdp.Errorf(cdp.Invalid, "change I/O filter", r.Cluster, "the id of the filter is missing")
	}
	if r.ID != "" {
		if err := cdp.CheckName("id", strings.ToLower("x"+r.ID)); err != nil {
			return nil, err
		}
	}
	id := strings.Join([]string{r.Do, r.Filter, r.Bundle, r.ID}, " ")
	_, p, err := inLane(ctx, f.lanes, "filter/"+r.Cluster, id, func(ctx context.Context, tell progress) (api.Empty, error) {
		return api.Empty{}, f.changeNow(ctx, r, tell)
	})
	return p, err
}

func (f *filters) changeNow(ctx context.Context, r api.FilterRequest, tell progress) error {
	op := r.Do + " I/O filter"
	done, err := load[string](ctx, f.records, keyChange+strings.ToLower(r.ID))
	if err != nil {
		return err
	}
	if r.ID != "" && done.exists() {
		tell(done.Value, 0, 0)
		return nil
	}
	vc, err := f.connect(ctx)
	if err != nil {
		return err
	}
	inv, err := f.cache.fresh(ctx)
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
	tell(r.Do+" on "+c.Name, 0, 0)
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
		f.tell(ctx, c, r, before, after, err)
	}
	if err != nil {
		return cdp.Wrap(err, op, c.Path)
	}
	if ferr != nil {
		return cdp.Wrap(ferr, op, c.Path)
	}
	// The vCenter accepted it, but the hosts may not be done: see status.
	text := "the vCenter accepted the " + r.Do + " on " + c.Name
	tell(text, 0, 0)
	if r.ID != "" {
		done.Value = text
		return done.save(ctx)
	}
	return nil
}

func hasFilter(in []inventory.Filter, id string) bool {
	return slices.ContainsFunc(in, func(f inventory.Filter) bool { return f.ID == id })
}

// inUse is a Conflict if disks use the filter.
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

// tell emits the state of the filters that the change was about.
func (f *filters) tell(ctx context.Context, c inventory.Cluster, r api.FilterRequest, before, after []inventory.Filter, failed error) {
	tell := func(id string, state event.FilterState, text string) { f.report.filter(ctx, c, id, state, text) }
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
			tell(f.ID, event.FilterPartlyRemoved, "hosts are pending: "+strings.Join(not, "; "))
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
