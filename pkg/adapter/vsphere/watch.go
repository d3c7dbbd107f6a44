package vsphere

import (
	"context"
	"time"

	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
)

// watched are the properties whose changes count. A VM's changeVersion covers its
// whole configuration.
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
	holdBack = 10               // seconds that the vCenter holds back an answer without news
	answers  = 20 * time.Second // how long it may take beyond that
	bearable = 3 * time.Second  // the vCenter is lost when nothing comes of it for longer
)

// Watch calls changed once at the beginning, then after changes, at most once a
// second. It survives expired sessions and short outages, after which it calls
// changed, because something may have been missed. It returns ctx's error, or why
// the vCenter is lost.
func (c *Client) Watch(ctx context.Context, changed func()) error {
	w := watcher{c: c, changed: changed}
	failing := time.Now()
	for {
		w.told = false
		err := w.run(ctx)
		if w.told {
			failing = time.Now()
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Since(failing) > bearable || cdp.Is(err, cdp.Invalid):
			return err
		}
		if clock.Sleep(ctx, clock.System, often) != nil {
			return ctx.Err()
		}
	}
}

type watcher struct {
	c       *Client
	changed func()
	last    time.Time // that changed was called
	told    bool      // it was, since the collector was made
}

// run watches with one collector until it is lost.
func (w *watcher) run(ctx context.Context) error {
	const op = "watch the inventory"
	c := w.c
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, answers)
	defer cancel()
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
	// A delayed call continues at the vCenter after its client is gone, so it is
	// ended first.
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
	return w.follow(whole, op, pc)
}

func (w *watcher) follow(ctx context.Context, op string, pc types.ManagedObjectReference) error {
	req := &types.WaitForUpdatesEx{This: pc, Options: &types.WaitOptions{MaxWaitSeconds: types.NewInt32(holdBack)}}
	for {
		// The first answer has everything, and may take as long as any call.
		one, cancel := ctx, context.CancelFunc(func() {})
		if w.told {
			one, cancel = context.WithTimeout(ctx, holdBack*time.Second+answers)
		}
		res, err := methods.WaitForUpdatesEx(one, w.c.v, req)
		cancel()
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
		if clock.Sleep(ctx, clock.System, often-time.Since(w.last)) != nil {
			return ctx.Err()
		}
		w.last, w.told = time.Now(), true
		w.changed()
	}
}
