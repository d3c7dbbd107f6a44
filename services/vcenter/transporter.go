package vcenter

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/vms"
)

// settings of a transporter are handed to its guest under this.
const guestinfo = "guestinfo.tidemark."

// appliance is a VM as a transporter.
func appliance(v vms.VM, inv vms.Inventory) vms.Appliance {
	a := vms.Appliance{Name: v.Mark(vms.MarkTransporter), VM: v.Ref, UUID: v.UUID, Power: v.Power, Version: v.Hardware.Extra[vms.GuestVersion]}
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
	own := vms.VM{}
	if site.Transporter != "" {
		own, _ = inv.FindVM(site.Transporter)
	}
	reply := api.TransportersReply{Transporters: []vms.Appliance{}}
	for _, v := range inv.VMs {
		if v.Mark(vms.MarkTransporter) == "" && (own.UUID == "" || v.UUID != own.UUID) {
			continue
		}
		a := appliance(v, inv)
		if a.Name == "" {
			a.Name = v.Name
		}
		if a.Answers, a.Holds, err = s.deps.Journal.Heard(ctx, a.Name); err != nil && !cdp.Is(err, cdp.Transient) {
			return nil, err
		}
		reply.Transporters = append(reply.Transporters, a)
	}
	slices.SortFunc(reply.Transporters, func(a, b vms.Appliance) int { return strings.Compare(a.Name, b.Name) })
	return reply, nil
}

// findTransporter finds a deployed one by name.
func findTransporter(inv vms.Inventory, name string) (vms.VM, bool) {
	i := slices.IndexFunc(inv.VMs, func(v vms.VM) bool { return v.Mark(vms.MarkTransporter) == name })
	if i < 0 {
		return vms.VM{}, false
	}
	return inv.VMs[i], true
}

// transporterRemove handles api.TransporterRemove.
func (s *Service) transporterRemove(ctx context.Context, r api.RemoveRequest) (any, error) {
	id := fmt.Sprintf("remove %v", r.Force)
	_, p, err := inLane(ctx, s.lanes, "transporter/"+r.Name, id, func(ctx context.Context, tell report) (api.Empty, error) {
		return api.Empty{}, cdp.Wrap(s.removeTransporter(ctx, r, tell), "remove transporter", r.Name)
	})
	return p, err
}

func (s *Service) removeTransporter(ctx context.Context, r api.RemoveRequest, tell report) error {
	const op = "remove transporter"
	inv, err := s.inventory(ctx, true)
	if err != nil {
		return err
	}
	rec, err := load[deployRecord](ctx, s, keyDeploy+r.Name)
	if err != nil {
		return err
	}
	v, found := findTransporter(inv, r.Name)
	if !found {
		if i := slices.IndexFunc(inv.VMs, func(v vms.VM) bool { return v.Name == r.Name }); i >= 0 {
			return cdp.Errorf(cdp.Conflict, op, r.Name, "the VM of that name was not deployed by Tidemark")
		}
		if !rec.exists() {
			return cdp.Errorf(cdp.NotFound, op, r.Name, "there is no such transporter")
		}
		return rec.drop(ctx, s)
	}
	site, err := s.deps.Site(ctx)
	if err != nil {
		return err
	}
	if own, why := inv.FindVM(site.Transporter); site.Transporter != "" && why == "" && own.UUID == v.UUID && !r.Force {
		return cdp.Errorf(cdp.Conflict, op, r.Name, "this site's services run on it").WithHint("remove it anyway with --force")
	}
	if err := s.holdsNothing(ctx, op, r.Name, v, r.Force); err != nil {
		return err
	}
	// So that a removal that was interrupted is known to have begun.
	if !rec.exists() {
		rec.Value.Stage = deployRemoving
		if err := rec.save(ctx, s); err != nil {
			return err
		}
	}
	tell("removes "+r.Name, 0, 0)
	vc, err := s.vcenter(ctx)
	if err != nil {
		return err
	}
	if err := s.destroyTransporter(ctx, vc, v); err != nil {
		return err
	}
	s.tellTransporter(ctx, r.Name, "removed", "it was removed")
	tell(r.Name+" is removed", 0, 0)
	return rec.drop(ctx, s)
}

// holdsNothing refuses to take away a transporter that keeps journals, or may.
func (s *Service) holdsNothing(ctx context.Context, op, name string, v vms.VM, force bool) error {
	if force {
		return nil
	}
	_, holds, err := s.deps.Journal.Heard(ctx, name)
	if err != nil && !cdp.Is(err, cdp.NotFound) && !cdp.Is(err, cdp.Transient) {
		return err
	}
	if len(holds) > 0 {
		return cdp.Errorf(cdp.Conflict, op, name, "it keeps the journals of %s", strings.Join(holds, ", ")).
			WithHint("delete those jobs first, or lose their history with --force")
	}
	if err != nil && v.Power == "on" {
		return cdp.Errorf(cdp.Conflict, op, name, "its journal service does not answer, so whether it keeps journals is not known").
			WithHint("start it, or remove it anyway with --force")
	}
	return nil
}

// destroyTransporter deletes the VM and its own disks. Replicas' disks that are
// attached to it are taken off first, or they would be deleted, too.
func (s *Service) destroyTransporter(ctx context.Context, vc VCenter, v vms.VM) error {
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
			return slices.ContainsFunc(m.Value.Disks, func(x vms.MemberDisk) bool { return x.File == d.File })
		})
		its := strings.Contains(d.File, "] "+v.Name+"/")
		if list := v.Mark(vms.MarkDisks); list != "" {
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
