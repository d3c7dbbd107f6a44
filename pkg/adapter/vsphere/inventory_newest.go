package vsphere

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/contract/inventory"
)

// newestVersions are the newest hardware versions of hosts, by compute resource. Each
// takes a call of its own, and changes only when a host joins, comes back or is upgraded.
type newestVersions struct {
	mu sync.Mutex
	by map[types.ManagedObjectReference]newestOf
}

type newestOf struct {
	hosts string // they are of these, in these states
	asked time.Time
	by    map[inventory.Ref]string
}

// newestFor is how long hardware versions are believed, whatever their hosts say.
const newestFor = time.Hour

// newest fills in which hardware versions the hosts support.
func (c *Client) newest(ctx context.Context, all *gathered, hosts []inventory.Host) error {
	for _, cr := range all.computes {
		if cr.EnvironmentBrowser == nil {
			continue
		}
		var of []string
		for _, h := range hosts {
			if h.Cluster == refOf(&cr.Self) {
				of = append(of, fmt.Sprint(h.Ref, h.State, h.Version, h.Build))
			}
		}
		slices.Sort(of)
		is := strings.Join(of, " ")
		c.versions.mu.Lock()
		was, ok := c.versions.by[cr.Self]
		c.versions.mu.Unlock()
		if !ok || was.hosts != is || time.Since(was.asked) > newestFor {
			by, err := c.askNewest(ctx, cr)
			if ctx.Err() != nil {
				return err
			}
			if err != nil {
				continue // a host that did not tell has none; a cluster without hosts cannot
			}
			was = newestOf{is, time.Now(), by}
			c.versions.mu.Lock()
			if c.versions.by == nil {
				c.versions.by = map[types.ManagedObjectReference]newestOf{}
			}
			c.versions.by[cr.Self] = was
			c.versions.mu.Unlock()
		}
		for i := range hosts {
			if v := was.by[hosts[i].Ref]; hardwareNumber(v) > hardwareNumber(hosts[i].Newest) {
				hosts[i].Newest = v
			}
		}
	}
	return nil
}

// askNewest asks a compute resource which hardware versions its hosts support.
func (c *Client) askNewest(ctx context.Context, cr mo.ComputeResource) (map[inventory.Ref]string, error) {
	var res *types.QueryConfigOptionDescriptorResponse
	err := c.do(ctx, "read the hardware versions of", cr.Name, func(ctx context.Context, v *vim25.Client) (err error) {
		res, err = methods.QueryConfigOptionDescriptor(ctx, v, &types.QueryConfigOptionDescriptor{This: *cr.EnvironmentBrowser})
		return err
	})
	if err != nil {
		return nil, err
	}
	out := map[inventory.Ref]string{}
	for _, d := range res.Returnval {
		for i := range d.Host {
			if h := refOf(&d.Host[i]); hardwareNumber(d.Key) > hardwareNumber(out[h]) {
				out[h] = d.Key
			}
		}
	}
	return out, nil
}
