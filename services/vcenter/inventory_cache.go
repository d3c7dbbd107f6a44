package vcenter

import (
	"context"
	"slices"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
)

// inventoryCache is the site's inventory as it was last read.
type inventoryCache struct {
	connect func(context.Context) (Inventories, error)
	site    func(context.Context) (Site, error)
	report  *reporter
	clock   clock.Clock
	maxAge  time.Duration
	locks   *locks

	mu   sync.Mutex
	inv  inventory.Inventory
	read time.Time     // when it was read
	took time.Duration // how long that took
	// valid is the same as read; zero if it was never read, or if something changed
	// since.
	valid   time.Time
	changes int // how often invalidate was called
}

// invalidate is called after every change at the vCenter.
func (c *inventoryCache) invalidate() {
	c.mu.Lock()
	c.valid = time.Time{}
	c.changes++
	c.mu.Unlock()
}

// slowly is how many times as long as a reading takes it may be used where what it says
// is read again by itself: a slow vCenter would do nothing but answer readings.
const slowly = 10

// recent is an inventory no older than maxAge, or that for a slow vCenter, whatever
// changed since. Use it to find what is then read by itself.
func (c *inventoryCache) recent(ctx context.Context) (inventory.Inventory, error) {
	c.mu.Lock()
	inv, read, took := c.inv, c.read, c.took
	c.mu.Unlock()
	if !read.IsZero() && clock.Since(c.clock, read) < max(c.maxAge, slowly*took) {
		return inv, nil
	}
	return c.get(ctx)
}

// get is an inventory no older than maxAge that has every change of this service.
func (c *inventoryCache) get(ctx context.Context) (inventory.Inventory, error) {
	return c.load(ctx, false)
}

// fresh is the inventory as it is now.
func (c *inventoryCache) fresh(ctx context.Context) (inventory.Inventory, error) {
	return c.load(ctx, true)
}

// load reads the inventory if it has to, and raises alarms for hosts that went
// down or came back since the last reading.
func (c *inventoryCache) load(ctx context.Context, fresh bool) (inventory.Inventory, error) {
	inv, before, err := c.look(ctx, fresh)
	for _, h := range inv.Hosts {
		was, known := before[h.Ref]
		switch {
		case err != nil || !known || was == h.State:
		case h.State == "connected":
			c.report.alarm(ctx, event.AlarmHostDown, h.Name, "the host is connected again")
		case was == "connected":
			c.report.alarm(ctx, event.AlarmHostDown, h.Name, "the host is "+h.State)
		}
	}
	return inv, err
}

// look also returns the hosts' states of the last reading, if there was a new one.
func (c *inventoryCache) look(ctx context.Context, fresh bool) (_ inventory.Inventory, before map[inventory.Ref]string, _ error) {
	begun := c.clock.Now()
	unlock, err := c.locks.take(ctx, "inventory")
	if err != nil {
		return inventory.Inventory{}, nil, err
	}
	defer unlock()
	c.mu.Lock()
	inv, valid, changes := c.inv, c.valid, c.changes
	c.mu.Unlock()
	// One that was read while this call waited for the lock is fresh enough.
	if !fresh && clock.Since(c.clock, valid) < c.maxAge || valid.After(begun) {
		return inv, nil, nil
	}
	vc, err := c.connect(ctx)
	if err != nil {
		return inventory.Inventory{}, nil, err
	}
	site, err := c.site(ctx)
	if err != nil {
		return inventory.Inventory{}, nil, err
	}
	start := c.clock.Now()
	if inv, err = vc.Inventory(ctx); err != nil {
		return inventory.Inventory{}, nil, cdp.Wrap(err, "read inventory", string(site.Name))
	}
	inv.Site = site.Name
	c.mu.Lock()
	defer c.mu.Unlock()
	before = map[inventory.Ref]string{}
	for _, h := range c.inv.Hosts {
		before[h.Ref] = h.State
	}
	c.inv, c.read, c.took = inv, start, clock.Since(c.clock, start)
	if c.changes == changes {
		c.valid = start
	}
	return inv, before, nil
}

// vmAt is the VM at a reference as it is now; NotFound.
func (c *inventoryCache) vmAt(ctx context.Context, vc VMReader, ref inventory.Ref) (inventory.VM, error) {
	is := func(v inventory.VM) bool { return v.Ref == ref }
	return c.vm(ctx, vc, string(ref), is, func(all []inventory.VM) (inventory.VM, error) {
		if i := slices.IndexFunc(all, is); i >= 0 {
			return all[i], nil
		}
		return inventory.VM{}, cdp.Errorf(cdp.NotFound, "find VM", string(ref), "it does not exist")
	})
}

// vm reads the VM that choose finds, in a recent inventory or else in a fresh one,
// and that still is what was looked for; NotFound.
func (c *inventoryCache) vm(ctx context.Context, vc VMReader, subject string, is func(inventory.VM) bool, choose func([]inventory.VM) (inventory.VM, error)) (inventory.VM, error) {
	for _, load := range []func(context.Context) (inventory.Inventory, error){c.recent, c.fresh} {
		inv, err := load(ctx)
		if err != nil {
			return inventory.VM{}, err
		}
		v, err := choose(inv.VMs)
		if err == nil {
			var now inventory.VM
			if now, err = vc.VM(ctx, v.UUID); err == nil && now.Ref == v.Ref && is(now) {
				return now, nil
			}
		}
		if err != nil && !cdp.Is(err, cdp.NotFound) {
			return inventory.VM{}, err
		}
	}
	return inventory.VM{}, cdp.Errorf(cdp.NotFound, "find VM", subject, "it does not exist any more")
}

// find is a VM by its path, instance UUID or name. One that is not there may be new, so it is
// looked for again.
func (c *inventoryCache) find(ctx context.Context, name string) (inventory.VM, error) {
	inv, err := c.recent(ctx)
	if err != nil {
		return inventory.VM{}, err
	}
	v, why := inv.FindVM(name)
	if why == "" {
		return v, nil
	}
	if inv, err = c.fresh(ctx); err != nil {
		return inventory.VM{}, err
	}
	if v, why = inv.FindVM(name); why != "" {
		return v, cdp.Errorf(cdp.NotFound, "find VM", name, "%s", why)
	}
	return v, nil
}
