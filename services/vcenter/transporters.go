package vcenter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// transporters deploy, upgrade and remove the site's transporters.
type transporters struct {
	connect func(context.Context) (applianceVMs, error)
	site    func(context.Context) (Site, error)
	cache   *inventoryCache
	lanes   *lanes
	records Records
	journal Journal
	local   Files
	report  *reporter
	clock   clock.Clock
	cfg     Config

	// unheard: there may be transporters whose deployment gave up waiting for them.
	unheard atomic.Bool
}

// applianceVMs is what transporters need of a vCenter.
type applianceVMs interface {
	VMReader
	VMMaker
	VMEditor
	DiskSlots
	Power
	Appliances
}

// guestinfo is the prefix of a transporter's settings in its guest.
const guestinfo = "guestinfo.tidemark."

// appliance describes a VM as a transporter.
func appliance(v inventory.VM, inv inventory.Inventory) inventory.Appliance {
	a := inventory.Appliance{Name: v.Mark(inventory.MarkTransporter), VM: v.Ref, UUID: v.UUID, Power: v.Power, Version: v.Hardware.Extra[inventory.GuestVersion], Free: vmpolicy.FreeSlots(v)}
	for _, h := range inv.Hosts {
		if h.Ref == v.Host {
			a.Host = h.Name
		}
	}
	return a
}

// list handles api.TransporterList: the deployed transporters, and the VM that this
// service runs on.
func (t *transporters) list(ctx context.Context, _ api.Empty) (any, error) {
	inv, err := t.cache.fresh(ctx)
	if err != nil {
		return nil, err
	}
	site, err := t.site(ctx)
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
		if a.Answers, a.Holds, err = t.journal.Heard(ctx, a.Name); err != nil && !cdp.Is(err, cdp.Transient) {
			return nil, err
		}
		reply.Transporters = append(reply.Transporters, a)
	}
	slices.SortFunc(reply.Transporters, func(a, b inventory.Appliance) int { return strings.Compare(a.Name, b.Name) })
	return reply, nil
}

// findTransporter finds a deployed transporter by name.
func findTransporter(inv inventory.Inventory, name string) (inventory.VM, bool) {
	i := slices.IndexFunc(inv.VMs, func(v inventory.VM) bool { return v.Mark(inventory.MarkTransporter) == name })
	if i < 0 {
		return inventory.VM{}, false
	}
	return inv.VMs[i], true
}

// hintStranger is what to do with a VM that Tidemark did not deploy.
const hintStranger = "upgrade or remove it the way it was installed; this command is for VMs made by: tidemark transporter deploy"

// stranger is a Conflict if a VM that Tidemark did not deploy has the name.
func stranger(op, name string, inv inventory.Inventory, hint string) error {
	if !slices.ContainsFunc(inv.VMs, func(v inventory.VM) bool { return v.Name == name && v.Mark(inventory.MarkTransporter) != name }) {
		return nil
	}
	return cdp.Errorf(cdp.Conflict, op, name, "the VM of that name was not deployed by Tidemark").WithHint(hint)
}

func nobody(op, name string) error {
	return cdp.Errorf(cdp.NotFound, op, name, "there is no transporter of that name").WithHint("list them: tidemark transporter list")
}

// home is a Conflict if this service runs on the VM.
func (t *transporters) home(ctx context.Context, op, name string, inv inventory.Inventory, v inventory.VM, hint string) error {
	site, err := t.site(ctx)
	if err != nil {
		return err
	}
	if own, why := inv.FindVM(site.Transporter); site.Transporter == "" || why != "" || own.UUID != v.UUID {
		return nil
	}
	return cdp.Errorf(cdp.Conflict, op, name, "this site's services run on it").WithHint(hint)
}

// remove handles api.TransporterRemove. By force, it ends all other work on the
// transporter.
func (t *transporters) remove(ctx context.Context, r api.RemoveRequest) (any, error) {
	const op = "remove transporter"
	lane, id := laneTransporter+r.Name, fmt.Sprintf("remove %v", r.Force)
	if r.Force {
		t.lanes.cut(lane, id, cdp.Errorf(cdp.Conflict, "wait for transporter", r.Name, "it was removed by force in the meantime"))
	}
	_, p, err := inLane(ctx, t.lanes, lane, id, func(ctx context.Context, tell progress) (api.Empty, error) {
		return api.Empty{}, cdp.Wrap(t.removeNow(ctx, op, r, tell), op, r.Name)
	})
	return p, err
}

func (t *transporters) removeNow(ctx context.Context, op string, r api.RemoveRequest, tell progress) error {
	inv, err := t.cache.fresh(ctx)
	if err != nil {
		return err
	}
	rec, err := load[deployRecord](ctx, t.records, keyDeploy+r.Name)
	if err != nil {
		return err
	}
	vc, err := t.connect(ctx)
	if err != nil {
		return err
	}
	var its []inventory.VM // with what an upgrade made for it
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
			if err := t.home(ctx, op, r.Name, inv, v, "remove it anyway with --force"); err != nil {
				return err
			}
		}
		known := len(its) == 0 || rec.Value.Stage == deployRemoving && off
		if err := t.keepsNothing(ctx, op, r.Name, rec.Value.unheard()); !known && err != nil {
			return err
		}
	}
	tell("removes "+r.Name, 0, 0)
	for _, v := range its {
		if err := vc.PowerOff(ctx, v.Ref); err != nil && !cdp.Is(err, cdp.NotFound) {
			return err
		}
	}
	// It is off now: when the removal continues, it cannot be asked what it keeps.
	rec.Value = deployRecord{Stage: deployRemoving}
	if err := rec.save(ctx); err != nil {
		return err
	}
	for _, v := range its {
		if err := t.destroy(ctx, vc, v); err != nil {
			return err
		}
	}
	t.report.transporter(ctx, r.Name, event.TransporterRemoved, "it was removed")
	tell(r.Name+" is removed", 0, 0)
	return rec.drop(ctx)
}

// keepsNothing is a Conflict if a transporter keeps journals or may keep some. One
// that does not answer may keep some, on or off, unless it is unheard: it has never
// answered.
func (t *transporters) keepsNothing(ctx context.Context, op, name string, unheard bool) error {
	_, holds, err := t.journal.Heard(ctx, name)
	silent := cdp.Is(err, cdp.NotFound) || cdp.Is(err, cdp.Transient)
	switch {
	case len(holds) > 0:
		return cdp.Errorf(cdp.Conflict, op, name, "it keeps the journals of %s", strings.Join(holds, ", ")).
			WithHint("delete those jobs first, or discard their history: tidemark transporter remove " + name + " --force")
	case err == nil || silent && unheard:
		return nil
	case !silent:
		return err
	}
	return cdp.Errorf(cdp.Conflict, op, name, "its journal service does not answer, so it is not known whether it keeps journals").
		WithHint("if it is off, power it on (govc vm.power -on " + name + "), and wait until it answers in: tidemark transporter list; " +
			"or discard what it keeps: tidemark transporter remove " + name + " --force")
}

// destroy deletes the VM and its own disks. It first detaches the disks of replicas,
// which would be deleted too.
func (t *transporters) destroy(ctx context.Context, vc applianceVMs, v inventory.VM) error {
	if err := vc.PowerOff(ctx, v.Ref); err != nil && !cdp.Is(err, cdp.NotFound) {
		return err
	}
	all, err := members(ctx, t.records, "")
	if err != nil {
		return err
	}
	var foreign []string
	for _, d := range v.Hardware.Disks {
		ours := slices.ContainsFunc(all, func(m *member) bool {
			return slices.ContainsFunc(m.Value.Disks, func(x inventory.MemberDisk) bool { return x.File == d.File })
		})
		_, rest, _ := inventory.SplitFile(d.File)
		its := strings.HasPrefix(rest, v.Name+"/")
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
