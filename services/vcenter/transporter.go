package vcenter

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
)

// settings of a transporter are handed to its guest under this.
const guestinfo = "guestinfo.tidemark."

// appliance is a VM as a transporter.
func appliance(v inventory.VM, inv inventory.Inventory) inventory.Appliance {
	a := inventory.Appliance{Name: v.Mark(inventory.MarkTransporter), VM: v.Ref, UUID: v.UUID, Power: v.Power, Version: v.Hardware.Extra[inventory.GuestVersion]}
	for _, h := range inv.Hosts {
		if h.Ref == v.Host {
			a.Host = h.Name
		}
	}
	return a
}

// transporterList handles api.TransporterList: those that were deployed, and
// the VM that this service runs on.
func (s *Service) transporterList(ctx context.Context, _ api.Empty) (any, error) {
	inv, err := s.inventory(ctx, true)
	if err != nil {
		return nil, err
	}
	site, err := s.deps.Site(ctx)
	if err != nil {
		return nil, err
	}
	own := inventory.VM{}
	if site.Transporter != "" {
		own, _ = inv.FindVM(site.Transporter)
	}
	reply := api.TransportersReply{Transporters: []inventory.Appliance{}}
	for _, v := range inv.VMs {
		if v.Mark(inventory.MarkTransporter) == "" && (own.UUID == "" || v.UUID != own.UUID) {
			continue
		}
		a := appliance(v, inv)
		if a.Name == "" || strings.HasSuffix(a.Name, beside) {
			a.Name = v.Name
		}
		if a.Answers, a.Holds, err = s.deps.Journal.Heard(ctx, a.Name); err != nil && !cdp.Is(err, cdp.Transient) {
			return nil, err
		}
		reply.Transporters = append(reply.Transporters, a)
	}
	slices.SortFunc(reply.Transporters, func(a, b inventory.Appliance) int { return strings.Compare(a.Name, b.Name) })
	return reply, nil
}

// findTransporter finds a deployed one by name.
func findTransporter(inv inventory.Inventory, name string) (inventory.VM, bool) {
	i := slices.IndexFunc(inv.VMs, func(v inventory.VM) bool { return v.Mark(inventory.MarkTransporter) == name })
	if i < 0 {
		return inventory.VM{}, false
	}
	return inv.VMs[i], true
}

// hintStranger is what to do with a VM that is not one's to change.
const hintStranger = "it is upgraded, and removed, where it was installed; here only what was made by: tidemark transporter deploy"

// stranger refuses a name by which another VM goes.
func stranger(op, name string, inv inventory.Inventory, hint string) error {
	if !slices.ContainsFunc(inv.VMs, func(v inventory.VM) bool { return v.Name == name && v.Mark(inventory.MarkTransporter) != name }) {
		return nil
	}
	return cdp.Errorf(cdp.Conflict, op, name, "the VM of that name was not deployed by Tidemark").WithHint(hint)
}

func nobody(op, name string) error {
	return cdp.Errorf(cdp.NotFound, op, name, "there is no transporter of that name").WithHint("look which there are: tidemark transporter list")
}

// home refuses to take away what this service runs on.
func (s *Service) home(ctx context.Context, op, name string, inv inventory.Inventory, v inventory.VM, hint string) error {
	site, err := s.deps.Site(ctx)
	if err != nil {
		return err
	}
	if own, why := inv.FindVM(site.Transporter); site.Transporter == "" || why != "" || own.UUID != v.UUID {
		return nil
	}
	return cdp.Errorf(cdp.Conflict, op, name, "this site's services run on it").WithHint(hint)
}

// transporterRemove handles api.TransporterRemove. By force it waits for nothing
// that is done with the transporter: it ends that.
func (s *Service) transporterRemove(ctx context.Context, r api.RemoveRequest) (any, error) {
	const op = "remove transporter"
	lane, id := laneTransporter+r.Name, fmt.Sprintf("remove %v", r.Force)
	if r.Force {
		s.lanes.cut(lane, id, cdp.Errorf(cdp.Conflict, "wait for transporter", r.Name, "it was removed meanwhile, by force"))
	}
	_, p, err := inLane(ctx, s.lanes, lane, id, func(ctx context.Context, tell report) (api.Empty, error) {
		return api.Empty{}, cdp.Wrap(s.removeTransporter(ctx, op, r, tell), op, r.Name)
	})
	return p, err
}

func (s *Service) removeTransporter(ctx context.Context, op string, r api.RemoveRequest, tell report) error {
	inv, err := s.inventory(ctx, true)
	if err != nil {
		return err
	}
	rec, err := load[deployRecord](ctx, s, keyDeploy+r.Name)
	if err != nil {
		return err
	}
	vc, err := s.vcenter(ctx)
	if err != nil {
		return err
	}
	var its []inventory.VM // what an upgrade has made for it among them
	off := true
	for _, v := range inv.VMs {
		if m := v.Mark(inventory.MarkTransporter); m == r.Name || m == r.Name+beside {
			its = append(its, v)
			off = off && v.Power == inventory.PoweredOff
		}
	}
	if len(its) == 0 && !rec.exists() {
		if err := stranger(op, r.Name, inv, hintStranger); err != nil {
			return err
		}
		return nobody(op, r.Name)
	}
	if !r.Force {
		for _, v := range its {
			if err := s.home(ctx, op, r.Name, inv, v, "remove it anyway with --force"); err != nil {
				return err
			}
		}
		known := len(its) == 0 || rec.Value.Stage == deployRemoving && off
		if err := s.keepsNothing(ctx, op, r.Name, rec.Value.unheard()); !known && err != nil {
			return err
		}
	}
	tell("removes "+r.Name, 0, 0)
	for _, v := range its {
		if err := vc.PowerOff(ctx, v.Ref); err != nil && !cdp.Is(err, cdp.NotFound) {
			return err
		}
	}
	// It is off: a removal that goes on must not ask it again what it keeps.
	rec.Value = deployRecord{Stage: deployRemoving}
	if err := rec.save(ctx, s); err != nil {
		return err
	}
	for _, v := range its {
		if err := s.destroyTransporter(ctx, vc, v); err != nil {
			return err
		}
	}
	s.tellTransporter(ctx, r.Name, event.TransporterRemoved, "it was removed")
	tell(r.Name+" is removed", 0, 0)
	return rec.drop(ctx, s)
}

// keepsNothing refuses to take away a transporter that keeps journals, or may: of
// one that does not answer it is not known, be it on or off, unless it is unheard,
// and never answered.
func (s *Service) keepsNothing(ctx context.Context, op, name string, unheard bool) error {
	_, holds, err := s.deps.Journal.Heard(ctx, name)
	silent := cdp.Is(err, cdp.NotFound) || cdp.Is(err, cdp.Transient)
	switch {
	case len(holds) > 0:
		return cdp.Errorf(cdp.Conflict, op, name, "it keeps the journals of %s", strings.Join(holds, ", ")).
			WithHint("delete those jobs first, or lose their history: tidemark transporter remove " + name + " --force")
	case err == nil || silent && unheard:
		return nil
	case !silent:
		return err
	}
	return cdp.Errorf(cdp.Conflict, op, name, "its journal service does not answer, so whether it keeps journals is not known").
		WithHint("power it on, if it is off (govc vm.power -on " + name + "), and wait until it answers in: tidemark transporter list; " +
			"or lose what it keeps: tidemark transporter remove " + name + " --force")
}

// destroyTransporter deletes the VM and its own disks. Replicas' disks that are
// attached to it are taken off first, or they would be deleted, too.
func (s *Service) destroyTransporter(ctx context.Context, vc VCenter, v inventory.VM) error {
	if err := vc.PowerOff(ctx, v.Ref); err != nil && !cdp.Is(err, cdp.NotFound) {
		return err
	}
	members, err := s.members(ctx, "")
	if err != nil {
		return err
	}
	var foreign []string
	for _, d := range v.Hardware.Disks {
		ours := slices.ContainsFunc(members, func(m *member) bool {
			return slices.ContainsFunc(m.Value.Disks, func(x inventory.MemberDisk) bool { return x.File == d.File })
		})
		its := strings.Contains(d.File, "] "+v.Name+"/")
		if list := v.Mark(inventory.MarkDisks); list != "" {
			its = slices.Contains(strings.Split(list, ","), d.UUID)
		}
		if ours || !its || d.Mode == "independent_nonpersistent" {
			foreign = append(foreign, d.File)
		}
	}
	if len(foreign) > 0 {
		if err := vc.Unplug(ctx, v.Ref, foreign); err != nil {
			return err
		}
	}
	if err := vc.Destroy(ctx, v.Ref, true); err != nil && !cdp.Is(err, cdp.NotFound) {
		return err
	}
	return nil
}
