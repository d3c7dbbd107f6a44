package vsphere

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// views are the container views that were made in the session: each reading of the whole
// inventory would otherwise take two calls more. They end with the session.
type views struct {
	mu sync.Mutex
	by map[string]madeView
}

type madeView struct {
	ref     types.ManagedObjectReference
	session uint64
}

// view is a view of everything of these types below the root folder. known says that it
// was made by an earlier call, and may be gone.
func (c *Client) view(ctx context.Context, v *vim25.Client, kinds []string) (ref types.ManagedObjectReference, known bool, err error) {
	slices.Sort(kinds)
	key, at := strings.Join(kinds, " "), c.session()
	c.views.mu.Lock()
	was, ok := c.views.by[key]
	c.views.mu.Unlock()
	if ok && was.session == at {
		return was.ref, true, nil
	}
	all, err := view.NewManager(v).CreateContainerView(ctx, v.ServiceContent.RootFolder, kinds, true)
	if err != nil {
		return ref, false, err
	}
	c.views.mu.Lock()
	was, ok = c.views.by[key]
	if ok = ok && was.session == at; !ok {
		if c.views.by == nil {
			c.views.by = map[string]madeView{}
		}
		c.views.by[key] = madeView{all.Reference(), at}
	}
	c.views.mu.Unlock()
	if ok { // another call made one at the same time
		c.bestEffort(ctx, all.Destroy)
		return was.ref, true, nil
	}
	return all.Reference(), false, nil
}

func (c *Client) forgetView(ref types.ManagedObjectReference) {
	c.views.mu.Lock()
	defer c.views.mu.Unlock()
	for key, m := range c.views.by {
		if m.ref == ref {
			delete(c.views.by, key)
		}
	}
}

// throughView reads properties of everything of these types.
func (c *Client) throughView(ctx context.Context, v *vim25.Client, specs []types.PropertySpec) ([]types.ObjectContent, error) {
	for {
		kinds := make([]string, len(specs))
		for i, s := range specs {
			kinds[i] = s.Type
		}
		all, known, err := c.view(ctx, v, kinds)
		if err != nil {
			return nil, err
		}
		objs, err := mo.RetrievePropertiesEx(ctx, v, types.RetrievePropertiesEx{
			This:    v.ServiceContent.PropertyCollector,
			SpecSet: []types.PropertyFilterSpec{{ObjectSet: []types.ObjectSpec{inView(all)}, PropSet: specs}},
			Options: types.RetrieveOptions{MaxObjects: page},
		})
		if err == nil {
			return objs, cutOff(objs)
		}
		c.forgetView(all)
		if !known || !isFault[*types.ManagedObjectNotFound](err) {
			return nil, err
		}
	}
}

// inView selects what is in a view, not the view.
func inView(v types.ManagedObjectReference) types.ObjectSpec {
	return types.ObjectSpec{
		Obj: v, Skip: types.NewBool(true),
		SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{Type: v.Type, Path: "view"}},
	}
}
