package vcenter

import (
	"context"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
)

// seen is the inventory as it was read last.
type seen struct {
	mu    sync.Mutex
	inv   inventory.Inventory
	read  time.Time // when
	at    time.Time // the same; zero: never, or something changed since
	turns int       // how often something changed
}

func (x *seen) changed() {
	x.mu.Lock()
	x.at = time.Time{}
	x.turns++
	x.mu.Unlock()
}

// lately is an inventory not older than CacheFor, whatever was changed since: it
// is good for finding what is then asked for.
func (s *Service) lately(ctx context.Context) (inventory.Inventory, error) {
	s.seen.mu.Lock()
	inv, read := s.seen.inv, s.seen.read
	s.seen.mu.Unlock()
	if time.Since(read) < s.cfg.CacheFor {
		return inv, nil
	}
	return s.inventory(ctx, false)
}

// inventory gives what stands at the site, not older than CacheFor and with all
// that was changed from here, or as it is now when fresh.
func (s *Service) inventory(ctx context.Context, fresh bool) (inventory.Inventory, error) {
	inv, before, err := s.look(ctx, fresh)
	for _, h := range inv.Hosts {
		was, known := before[h.Ref]
		switch {
		case err != nil || !known || was == h.State:
		case h.State == "connected":
			s.alarm(ctx, event.AlarmHostDown, h.Name, "the host is connected again")
		case was == "connected":
			s.alarm(ctx, event.AlarmHostDown, h.Name, "the host is "+h.State)
		}
	}
	return inv, err
}

// look is inventory; before are the hosts' states as they were, if it was read.
func (s *Service) look(ctx context.Context, fresh bool) (_ inventory.Inventory, before map[inventory.Ref]string, _ error) {
	begun := time.Now()
	unlock, err := s.locks.lock(ctx, "inventory")
	if err != nil {
		return inventory.Inventory{}, nil, err
	}
	defer unlock()
	s.seen.mu.Lock()
	inv, at, turns := s.seen.inv, s.seen.at, s.seen.turns
	s.seen.mu.Unlock()
	// One that was read while we waited is fresh enough.
	if !fresh && time.Since(at) < s.cfg.CacheFor || fresh && at.After(begun) {
		return inv, nil, nil
	}
	vc, err := s.vcenter(ctx)
	if err != nil {
		return inventory.Inventory{}, nil, err
	}
	site, err := s.deps.Site(ctx)
	if err != nil {
		return inventory.Inventory{}, nil, err
	}
	start := time.Now()
	if inv, err = vc.Inventory(ctx); err != nil {
		return inventory.Inventory{}, nil, cdp.Wrap(err, "read inventory", string(site.Name))
	}
	inv.Site = site.Name
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	before = map[inventory.Ref]string{}
	for _, h := range s.seen.inv.Hosts {
		before[h.Ref] = h.State
	}
	s.seen.inv, s.seen.read = inv, start
	if s.seen.turns == turns {
		s.seen.at = start
	}
	return inv, before, nil
}

// alarm tells that something at the vCenter needs attention.
func (s *Service) alarm(ctx context.Context, kind, subject, text string) {
	site, err := s.deps.Site(ctx)
	if err == nil {
		err = s.deps.Events.Emit(ctx, event.VCenterAlarm{Site: site.Name, Kind: kind, Subject: clip(subject, 256), Text: clip(text, longestText)})
	}
	if err != nil && ctx.Err() == nil {
		s.deps.Notify(cdp.Wrap(err, "tell alarm", kind))
	}
}

// transporter is the VM that this service runs on, as it is now.
func (s *Service) transporter(ctx context.Context, vc VCenter) (inventory.VM, error) {
	const op = "find transporter"
	site, err := s.deps.Site(ctx)
	if err != nil {
		return inventory.VM{}, err
	}
	if site.Transporter == "" {
		return inventory.VM{}, cdp.Errorf(cdp.NotFound, op, string(site.Name), "the Site names none").
			WithHint("set spec.vsphere.transporter of the Site to the VM that tidemark runs on")
	}
	inv, err := s.lately(ctx)
	if err != nil {
		return inventory.VM{}, err
	}
	v, why := inv.FindVM(site.Transporter)
	if why != "" {
		return inventory.VM{}, cdp.Errorf(cdp.NotFound, op, site.Transporter, "%s", why).
			WithHint("set spec.vsphere.transporter of the Site to the VM that tidemark runs on")
	}
	now, err := vc.VM(ctx, v.UUID)
	return now, cdp.Wrap(err, op, site.Transporter)
}

// vmAt is the VM behind a reference, as it is now; NotFound.
func (s *Service) vmAt(ctx context.Context, vc VCenter, ref inventory.Ref) (inventory.VM, error) {
	for _, look := range []func(context.Context) (inventory.Inventory, error){s.lately,
		func(ctx context.Context) (inventory.Inventory, error) { return s.inventory(ctx, true) }} {
		inv, err := look(ctx)
		if err != nil {
			return inventory.VM{}, err
		}
		for _, v := range inv.VMs {
			if v.Ref == ref {
				now, err := vc.VM(ctx, v.UUID)
				if err == nil && now.Ref == ref {
					return now, nil
				}
				if err != nil && !cdp.Is(err, cdp.NotFound) {
					return inventory.VM{}, err
				}
			}
		}
	}
	return inventory.VM{}, cdp.Errorf(cdp.NotFound, "find VM", string(ref), "it does not exist any more")
}
