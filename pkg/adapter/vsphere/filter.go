package vsphere

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// Filters are those of a cluster with their state on each host, by id. Conflict:
// the server has no I/O filter manager, or the reference is not a cluster.
func (c *Client) Filters(ctx context.Context, cluster inventory.Ref) ([]inventory.Filter, error) {
	const op = "read the I/O filters of"
	cl, err := c.cluster(ctx, op, cluster)
	if err != nil {
		return nil, err
	}
	infos, err := c.filterInfos(ctx, op, cl)
	if err != nil {
		return nil, err
	}
	out := make([]inventory.Filter, 0, len(infos))
	for _, info := range infos {
		f := inventory.Filter{ID: info.Id, Name: info.Name, Vendor: info.Vendor, Version: info.Version, Bundle: withoutUser(info.VibUrl), Doing: info.OpType}
		var issues types.IoFilterQueryIssueResult
		err := c.do(ctx, op, cl.Name, func(ctx context.Context, v *vim25.Client) error {
			res, err := methods.QueryIoFilterIssues(ctx, v, &types.QueryIoFilterIssues{This: cl.manager, FilterId: info.Id, CompRes: cl.Self})
			if err == nil {
				issues = res.Returnval
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		f.Doing = cmp.Or(issues.OpType, f.Doing)
		f.Hosts = cl.states(info, issues)
		if f.Disks, err = c.filterDisks(ctx, op, cl, info.Id); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b inventory.Filter) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// withoutUser is a URL without its user and password.
func withoutUser(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}

func (c *Client) filterInfos(ctx context.Context, op string, cl *filterCluster) ([]types.ClusterIoFilterInfo, error) {
	var infos []types.ClusterIoFilterInfo
	err := c.do(ctx, op, cl.Name, func(ctx context.Context, v *vim25.Client) error {
		res, err := methods.QueryIoFilterInfo(ctx, v, &types.QueryIoFilterInfo{This: cl.manager, CompRes: cl.Self})
		if err == nil {
			infos = res.Returnval
		}
		return err
	})
	return infos, err
}

// filterDisks are the disks that a filter is attached to, by VM and label.
func (c *Client) filterDisks(ctx context.Context, op string, cl *filterCluster, id string) ([]inventory.FilterDisk, error) {
	var out []inventory.FilterDisk
	err := c.do(ctx, op, cl.Name, func(ctx context.Context, v *vim25.Client) error {
		out = nil
		res, err := methods.QueryDisksUsingFilter(ctx, v, &types.QueryDisksUsingFilter{This: cl.manager, FilterId: id, CompRes: cl.Self})
		if err != nil {
			return err
		}
		var refs []types.ManagedObjectReference
		for _, d := range res.Returnval {
			if !slices.Contains(refs, d.Vm) {
				refs = append(refs, d.Vm)
			}
		}
		if len(refs) == 0 {
			return nil
		}
		objs, err := retrieve(ctx, v, refs, "VirtualMachine", []string{"name", "config.hardware"})
		if err != nil {
			return err
		}
		g, err := gatherAll(objs)
		if err != nil {
			return err
		}
		for _, d := range res.Returnval {
			fd := inventory.FilterDisk{VM: d.Vm.String(), Disk: "disk " + itoa(int(d.DiskId))}
			for _, m := range g.machines {
				if m.Self != d.Vm {
					continue
				}
				fd.VM = inventory.Unescape(m.Name)
				if m.Config == nil {
					continue
				}
				for _, has := range disksOf(m.Config.Hardware.Device) {
					if has.Key == d.DiskId {
						fd.Disk = labelOf(has)
						if b, ok := has.Backing.(types.BaseVirtualDeviceFileBackingInfo); ok {
							fd.Path = b.GetVirtualDeviceFileBackingInfo().FileName
						}
					}
				}
			}
			out = append(out, fd)
		}
		return nil
	})
	return out, err
}

// bundled are the filters of a cluster that can have filters. If one from the
// bundle exists, its failures are resolved, and nothing else is left to do.
func (c *Client) bundled(ctx context.Context, op string, cluster inventory.Ref, bundleURL string) (cl *filterCluster, infos []types.ClusterIoFilterInfo, done bool, err error) {
	if cl, err = c.cluster(ctx, op, cluster); err != nil {
		return nil, nil, false, err
	}
	if err = cl.takes(op); err != nil {
		return nil, nil, false, err
	}
	if infos, err = c.filterInfos(ctx, op, cl); err != nil {
		return nil, nil, false, err
	}
	for _, i := range infos {
		if i.VibUrl == bundleURL && i.OpType != string(types.IoFilterOperationUninstall) {
			return cl, infos, true, c.putRight(ctx, op, cl, i.Id)
		}
	}
	return cl, infos, false, nil
}

// InstallFilter has the vCenter install a bundle on all hosts of a cluster, and on
// hosts that join it. If it is already installed from the same URL, only its
// failures are resolved. Conflict: the cluster cannot have filters now.
func (c *Client) InstallFilter(ctx context.Context, cluster inventory.Ref, bundleURL string) error {
	const op = "install the I/O filter at"
	cl, infos, done, err := c.bundled(ctx, op, cluster, bundleURL)
	if err != nil || done {
		return err
	}
	_, err = c.task(ctx, op, cl.Name, func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		res, err := methods.InstallIoFilter_Task(ctx, v, &types.InstallIoFilter_Task{This: cl.manager, VibUrl: bundleURL, CompRes: cl.Self})
		if err != nil {
			return nil, err
		}
		return object.NewTask(v, res.Returnval), nil
	})
	if exists, ok := errors.AsType[existsError](err); ok {
		for _, i := range infos {
			if (exists.name == i.Id || exists.name == i.Name || exists.name == "") && i.OpType == string(types.IoFilterOperationUninstall) {
				return cdp.Errorf(cdp.Conflict, op, cl.Name, "the filter %s is still being uninstalled there", i.Id).
					WithHint("see which hosts are pending: tidemark iofilter issues; then run tidemark iofilter resolve, and install it")
			}
		}
	}
	return badBundle(err, op, cl.Name, bundleURL)
}

// badBundle is err, with a text if the vCenter refuses the bundle.
func badBundle(err error, op, cluster, bundleURL string) error {
	arg, ok := errors.AsType[argumentError](err)
	if !ok || arg.field != "" && !strings.EqualFold(arg.field, "vibUrl") {
		return err
	}
	return cdp.Errorf(cdp.Invalid, op, cluster, "the bundle %s cannot be fetched, or is not one: %w", withoutUser(bundleURL), arg).
		WithHint("the vCenter and the hosts fetch it themselves: the URL must be reachable from them, and lead to a zip of a VIB (an offline bundle)")
}

// UpgradeFilter installs another version of a filter. If it is already installed
// from that URL, only its failures are resolved.
func (c *Client) UpgradeFilter(ctx context.Context, cluster inventory.Ref, id, bundleURL string) error {
	const op = "upgrade the I/O filter at"
	cl, infos, done, err := c.bundled(ctx, op, cluster, bundleURL)
	if err != nil || done {
		return err
	}
	if !slices.ContainsFunc(infos, func(i types.ClusterIoFilterInfo) bool { return i.Id == id }) {
		return cdp.Errorf(cdp.NotFound, op, cl.Name, "the filter %s is not installed on it", id)
	}
	_, err = c.task(ctx, op, cl.Name, func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		res, err := methods.UpgradeIoFilter_Task(ctx, v, &types.UpgradeIoFilter_Task{This: cl.manager, FilterId: id, CompRes: cl.Self, VibUrl: bundleURL})
		if err != nil {
			return nil, err
		}
		return object.NewTask(v, res.Returnval), nil
	})
	return badBundle(err, op, cl.Name, bundleURL)
}

// UninstallFilter removes a filter from all hosts. It is no error if it is not
// installed. Conflict, with the disks, while disks use it.
func (c *Client) UninstallFilter(ctx context.Context, cluster inventory.Ref, id string) error {
	const op = "uninstall the I/O filter from"
	cl, err := c.cluster(ctx, op, cluster)
	if err != nil {
		return err
	}
	if err := cl.takes(op); err != nil {
		return err
	}
	infos, err := c.filterInfos(ctx, op, cl)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(infos, func(i types.ClusterIoFilterInfo) bool { return i.Id == id }) {
		return nil
	}
	disks, err := c.filterDisks(ctx, op, cl, id)
	if err != nil {
		return err
	}
	if len(disks) > 0 {
		return cdp.Errorf(cdp.Conflict, op, cl.Name, "%d disks use it: %s", len(disks), diskList(disks)).
			WithHint("stop or remove the jobs that protect these VMs first")
	}
	_, err = c.task(ctx, op, cl.Name, func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		res, err := methods.UninstallIoFilter_Task(ctx, v, &types.UninstallIoFilter_Task{This: cl.manager, FilterId: id, CompRes: cl.Self})
		if err != nil {
			return nil, err
		}
		return object.NewTask(v, res.Returnval), nil
	})
	if cdp.Is(err, cdp.NotFound) {
		return nil
	}
	return err
}

// ResolveFilter has the vCenter retry what failed on hosts.
func (c *Client) ResolveFilter(ctx context.Context, cluster inventory.Ref, id string) error {
	const op = "resolve the I/O filter's errors at"
	cl, err := c.cluster(ctx, op, cluster)
	if err != nil {
		return err
	}
	if err := cl.takes(op); err != nil {
		return err
	}
	return c.resolve(ctx, op, cl, id)
}

func (c *Client) resolve(ctx context.Context, op string, cl *filterCluster, id string) error {
	_, err := c.task(ctx, op, cl.Name, func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		res, err := methods.ResolveInstallationErrorsOnCluster_Task(ctx, v, &types.ResolveInstallationErrorsOnCluster_Task{This: cl.manager, FilterId: id, Cluster: cl.Self})
		if err != nil {
			return nil, err
		}
		return object.NewTask(v, res.Returnval), nil
	})
	return err
}

// putRight resolves failures, if there are any.
func (c *Client) putRight(ctx context.Context, op string, cl *filterCluster, id string) error {
	all, err := c.Filters(ctx, refOf(&cl.Self))
	if err != nil {
		return err
	}
	for _, f := range all {
		if f.ID == id && slices.ContainsFunc(f.Hosts, func(h inventory.FilterHost) bool { return h.State != inventory.FilterInstalled }) {
			return c.resolve(ctx, op, cl, id)
		}
	}
	return nil
}

// diskList names a few disks.
func diskList(disks []inventory.FilterDisk) string {
	const most = 5
	s := ""
	for i, d := range disks {
		if i == most {
			return s + ", ..."
		}
		if i > 0 {
			s += ", "
		}
		s += d.VM + " (" + cmp.Or(d.Path, d.Disk) + ")"
	}
	return s
}
