package vcenter

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/event"
	"tidemark.dev/pkg/vms"
)

// deployRecord is a transporter that is being made or removed.
type deployRecord struct {
	// Stage: importing (what is there may be half of it), made, removing.
	Stage string `json:"stage"`
	// Old is the VM that an upgrade replaces, as its reference.
	Old vms.Ref `json:"old,omitempty"`
}

const (
	deployImporting = "importing"
	deployMade      = "made"
	deployRemoving  = "removing"
)

// transporterDeploy handles api.TransporterDeploy. Asked twice it is the same
// one; a VM of that name that is not ours is left alone.
func (s *Service) transporterDeploy(ctx context.Context, r api.DeployRequest) (any, error) {
	if err := cdp.CheckName("name", r.Name); err != nil {
		return nil, err
	}
	id := fmt.Sprintf("deploy %v %s", r.Upgrade, r.OVA)
	_, p, err := inLane(ctx, s.lanes, "transporter/"+r.Name, id, func(ctx context.Context, tell report) (api.Empty, error) {
		err := s.deploy(ctx, r, tell)
		if err != nil && !cdp.Is(err, cdp.Transient) && ctx.Err() == nil {
			s.tellTransporter(ctx, r.Name, "failed", err.Error())
		}
		return api.Empty{}, cdp.Wrap(err, "deploy transporter", r.Name)
	})
	return p, err
}

func (s *Service) tellTransporter(ctx context.Context, name, state, text string) {
	site, err := s.deps.Site(ctx)
	if err != nil {
		s.deps.Notify(err)
		return
	}
	s.emit(ctx, event.VCenterTransporterChanged{Site: site.Name, Name: name, State: state, Text: clip(text, longestText)})
}

func (s *Service) deploy(ctx context.Context, r api.DeployRequest, tell report) error {
	const op = "deploy transporter"
	vc, err := s.vcenter(ctx)
	if err != nil {
		return err
	}
	inv, err := s.inventory(ctx, true)
	if err != nil {
		return err
	}
	rec, err := load[deployRecord](ctx, s, keyDeploy+r.Name)
	if err != nil {
		return err
	}
	v, found := findTransporter(inv, r.Name)
	switch {
	case !found && r.Upgrade && !rec.exists():
		return cdp.Errorf(cdp.NotFound, op, r.Name, "there is no transporter of that name to upgrade")
	case !found && slices.ContainsFunc(inv.VMs, func(v vms.VM) bool { return v.Name == r.Name }):
		return cdp.Errorf(cdp.Conflict, op, r.Name, "a VM of that name is there, and was not deployed by Tidemark").WithHint("choose another name")
	}
	if r.Upgrade && !rec.exists() {
		// A journal stays on the disks of the appliance that made it.
		if err := s.holdsNothing(ctx, "upgrade transporter", r.Name, v, false); err != nil {
			return err
		}
		rec.Value = deployRecord{Stage: deployImporting, Old: v.Ref}
		if err := rec.save(ctx, s); err != nil {
			return err
		}
	}
	if old := rec.Value.Old; old != "" {
		return s.upgrade(ctx, vc, r, rec, tell)
	}
	if found && rec.Value.Stage == deployImporting { // interrupted: its disks may be half there
		tell("removes what an interrupted import left", 0, 0)
		if err := s.destroyTransporter(ctx, vc, v); err != nil {
			return err
		}
		found = false
	}
	if !found {
		if v, err = s.importOVA(ctx, vc, inv, r, r.Name, rec, tell); err != nil {
			return err
		}
	}
	if err := s.bringUp(ctx, vc, v, r.Name, tell); err != nil {
		return err
	}
	return rec.drop(ctx, s)
}

// importOVA makes the VM under a name and records when that is complete.
func (s *Service) importOVA(ctx context.Context, vc VCenter, inv vms.Inventory, r api.DeployRequest, name string, rec *kept[deployRecord], tell report) (vms.VM, error) {
	place, bad := inv.Resolve(vms.JobTarget{Host: r.Host, Datastore: r.Datastore, Folder: r.Folder})
	net, why := inv.FindNetwork(r.Network)
	if why != "" {
		bad = append(bad, vms.Problem{Path: "network", Text: why})
	}
	if len(bad) > 0 {
		var texts []string
		for _, p := range bad {
			texts = append(texts, p.Text)
		}
		return vms.VM{}, cdp.Errorf(cdp.Invalid, "deploy transporter", r.Name, "%s", strings.Join(texts, "; "))
	}
	if rec.Value.Stage != deployImporting {
		rec.Value.Stage = deployImporting
		if err := rec.save(ctx, s); err != nil {
			return vms.VM{}, err
		}
	}
	s.tellTransporter(ctx, r.Name, "deploying", "its OVA is imported at "+r.Host)
	settings := map[string]string{}
	for k, v := range r.Settings {
		settings[guestinfo+k] = v
	}
	settings[guestinfo+"name"] = r.Name
	extra := map[string]string{"disk.EnableUUID": "TRUE", vms.MarkTransporter: name}
	ref, err := vc.Import(ctx, vms.Import{OVA: r.OVA, Name: name, Note: "Transporter " + r.Name + " of Tidemark",
		Host: place.Host, Pool: place.Pool, Folder: place.Folder, Datastore: place.Home.Ref,
		Networks: map[string]vms.Ref{"": net}, Guestinfo: maps.Clone(settings), Extra: extra,
	}, func(percent int) { tell("imports the OVA", int64(percent), 100) })
	if err != nil {
		return vms.VM{}, err
	}
	v, err := s.vmAt(ctx, vc, ref)
	if err != nil {
		return v, err
	}
	var own []string
	for _, d := range v.Hardware.Disks {
		own = append(own, d.UUID)
	}
	if err := vc.Label(ctx, ref, "", "", map[string]string{vms.MarkDisks: strings.Join(own, ",")}); err != nil {
		return v, err
	}
	rec.Value.Stage = deployMade
	return v, rec.save(ctx, s)
}

// bringUp powers a transporter on and waits until its journal is heard.
func (s *Service) bringUp(ctx context.Context, vc VCenter, v vms.VM, name string, tell report) error {
	tell("powers it on", 0, 0)
	if err := vc.PowerOn(ctx, v.Ref); err != nil {
		return err
	}
	tell("waits until its journal service answers", 0, 0)
	over := s.deps.Clock.After(s.cfg.AnswerWait)
	for {
		heard, _, err := s.deps.Journal.Heard(ctx, name)
		if err == nil && heard {
			break
		}
		select {
		case <-ctx.Done():
			return cdp.Wrap(ctx.Err(), "wait for transporter", name)
		case <-over:
			return cdp.Errorf(cdp.Transient, "wait for transporter", name, "it is powered on, but its journal service was not heard in %s", s.cfg.AnswerWait).
				WithHint("look at its console: has it an address, and can it reach the site's NATS server?")
		case <-s.deps.Clock.After(s.cfg.CheckEvery):
		}
	}
	s.tellTransporter(ctx, name, "ready", "its journal service answers")
	tell(name+" answers", 0, 0)
	return nil
}

// upgrade puts a new VM in the place of an old one, which is kept, off, until
// the new one answers.
func (s *Service) upgrade(ctx context.Context, vc VCenter, r api.DeployRequest, rec *kept[deployRecord], tell report) error {
	inv, err := s.inventory(ctx, true)
	if err != nil {
		return err
	}
	temp := r.Name + "-new"
	at := func(pred func(vms.VM) bool) (vms.VM, bool) {
		i := slices.IndexFunc(inv.VMs, pred)
		if i < 0 {
			return vms.VM{}, false
		}
		return inv.VMs[i], true
	}
	fresh, made := at(func(v vms.VM) bool {
		return v.Ref != rec.Value.Old && (v.Mark(vms.MarkTransporter) == temp || v.Mark(vms.MarkTransporter) == r.Name)
	})
	if made && rec.Value.Stage == deployImporting {
		if err := s.destroyTransporter(ctx, vc, fresh); err != nil {
			return err
		}
		made = false
	}
	if !made {
		if fresh, err = s.importOVA(ctx, vc, inv, r, temp, rec, tell); err != nil {
			return err
		}
	}
	old, there := at(func(v vms.VM) bool { return v.Ref == rec.Value.Old })
	if there {
		tell("powers the old one off", 0, 0)
		if err := vc.PowerOff(ctx, old.Ref); err != nil && !cdp.Is(err, cdp.NotFound) {
			return err
		}
	}
	if err := s.bringUp(ctx, vc, fresh, r.Name, tell); err != nil {
		if there && cdp.Is(err, cdp.Transient) && ctx.Err() == nil { // it never came up: back to what worked
			s.note(vc.PowerOff(ctx, fresh.Ref))
			s.note(vc.PowerOn(ctx, old.Ref))
		}
		return err
	}
	if there {
		tell("removes the old one", 0, 0)
		if err := s.destroyTransporter(ctx, vc, old); err != nil {
			return err
		}
	}
	if err := vc.Label(ctx, fresh.Ref, r.Name, "", map[string]string{vms.MarkTransporter: r.Name}); err != nil {
		return err
	}
	return rec.drop(ctx, s)
}

func (s *Service) note(err error) {
	if err != nil {
		s.deps.Notify(err)
	}
}
