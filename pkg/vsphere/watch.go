package vsphere

import (
	"context"
	"time"

	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
)

// watched is what a change is a change of. A VM's changeVersion stands for all
// of its configuration.
var watched = []types.PropertySpec{
	{Type: "VirtualMachine", PathSet: []string{
		"name", "parent", "config.changeVersion", "snapshot",
		"runtime.host", "runtime.powerState", "runtime.connectionState", "runtime.consolidationNeeded",
		"guest.toolsRunningStatus", "guest.net", "guestHeartbeatStatus",
	}},
	{Type: "HostSystem", PathSet: []string{"name", "parent", "runtime.connectionState", "runtime.inMaintenanceMode"}},
	{Type: "Datastore", PathSet: []string{"name", "summary", "host"}},
}

const (
	often    = time.Second      // changes of less than this are one
	holdBack = 30               // seconds that the vCenter holds back an answer without news
	calmDown = 30 * time.Second // between tries while it cannot be reached, at most
)

// Watch calls changed once at the beginning, then after changes, not more often
// than every second. It outlives lost sessions and restarts of the vCenter:
// after one it calls changed, for something may have been missed. It returns
// ctx's error, or an Invalid one that no retry can mend.
func (c *Client) Watch(ctx context.Context, changed func()) error {
	w := watcher{c: c, changed: changed}
	pause := often
	for {
		began := time.Now()
		err := w.run(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case cdp.Is(err, cdp.Invalid):
			return err
		}
		if time.Since(began) > calmDown {
			pause = often
		}
		if sleep(ctx, pause) != nil {
			return ctx.Err()
		}
		pause = min(2*pause, calmDown)
	}
}

type watcher struct {
	c       *Client
	changed func()
	last    time.Time // that changed was called
}

// run watches with one collector until that is lost.
func (w *watcher) run(ctx context.Context) error {
	const op = "watch the inventory"
	c := w.c
	var pc types.ManagedObjectReference
	err := c.do(ctx, op, c.host(), func(ctx context.Context, v *vim25.Client) error {
		res, err := methods.CreatePropertyCollector(ctx, v, &types.CreatePropertyCollector{This: v.ServiceContent.PropertyCollector})
		if err == nil {
			pc = res.Returnval
		}
		return err
	})
	if err != nil {
		return err
	}
	// A call that the vCenter holds back goes on there when its client is gone,
	// so it is ended first.
	defer c.bestEffort(ctx, func(ctx context.Context) error {
		if _, err := methods.CancelWaitForUpdates(ctx, c.v, &types.CancelWaitForUpdates{This: pc}); err != nil {
			return err
		}
		_, err := methods.DestroyPropertyCollector(ctx, c.v, &types.DestroyPropertyCollector{This: pc})
		return err
	})
	kinds := make([]string, len(watched))
	for i, s := range watched {
		kinds[i] = s.Type
	}
	all, err := view.NewManager(c.v).CreateContainerView(ctx, c.v.ServiceContent.RootFolder, kinds, true)
	if err != nil {
		return c.fail(ctx, op, c.host(), err)
	}
	defer c.bestEffort(ctx, all.Destroy)
	_, err = methods.CreateFilter(ctx, c.v, &types.CreateFilter{This: pc, Spec: types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{inView(all.Reference())},
		PropSet:   watched,
	}})
	if err != nil {
		return c.fail(ctx, op, c.host(), err)
	}
	return w.follow(ctx, op, pc)
}

func (w *watcher) follow(ctx context.Context, op string, pc types.ManagedObjectReference) error {
	req := &types.WaitForUpdatesEx{This: pc, Options: &types.WaitOptions{MaxWaitSeconds: types.NewInt32(holdBack)}}
	for {
		res, err := methods.WaitForUpdatesEx(ctx, w.c.v, req)
		if err != nil {
			return w.c.fail(ctx, op, w.c.host(), err)
		}
		set := res.Returnval
		if set == nil {
			continue // no news
		}
		req.Version = set.Version
		if isTrue(set.Truncated) {
			continue // the rest comes at once
		}
		if sleep(ctx, often-time.Since(w.last)) != nil {
			return ctx.Err()
		}
		w.last = time.Now()
		w.changed()
	}
}
