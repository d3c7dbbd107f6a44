package vcenter

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// deployRecord is a transporter that is being made, replaced or removed. It goes
// when that is done, and when it is refused.
type deployRecord struct {
	Stage string `json:"stage"`
	// Old is the VM that an upgrade replaces, as its reference. Without it the
	// transporter is being made, and was never heard: see hearLate.
	Old inventory.Ref `json:"old,omitempty"`
}

const (
	deployImporting = "importing" // what is there may be half of it
	deployMade      = "made"
	deploySwitched  = "switched" // of an upgrade: the old one kept nothing, and is off
	deployHeard     = "heard"    // of an upgrade: the new one answers, the old one goes
	deployBack      = "back"     // what was made goes, and an old one comes back
	deployRemoving  = "removing" // it is off, and kept nothing, or that does not matter
)

// unheard: it is being made, and never answered, so it keeps no journal.
func (r deployRecord) unheard() bool {
	return r.Stage != "" && r.Stage != deployRemoving && r.Old == ""
}

// beside is added to the mark of a VM that an upgrade puts in the place of
// another: no name of a transporter has it.
const beside = "/new"

// transporterDeploy handles api.TransporterDeploy. Asked twice it is the same
// one; a VM of that name that is not ours is left alone, and so is one of ours
// that was made otherwise.
func (s *Service) transporterDeploy(ctx context.Context, r api.DeployRequest) (any, error) {
	if err := cdp.CheckName("name", r.Name); err != nil {
		return nil, err
	}
	op := "deploy transporter"
	if r.Upgrade {
		op = "upgrade transporter"
	}
	raw, _ := json.Marshal(r) // it was read from JSON
	id := op + " " + s.lanes.sign(raw)
	_, p, err := inLane(ctx, s.lanes, laneTransporter+r.Name, id, func(ctx context.Context, tell report) (api.Empty, error) {
		d := &deployment{Service: s, op: op, r: r, tell: tell}
		err := d.do(ctx)
		if err != nil && d.begun && ctx.Err() == nil && (!cdp.Is(err, cdp.Transient) || errors.Is(err, errUnheard)) {
			s.tellTransporter(ctx, r.Name, event.TransporterFailed, err.Error())
		}
		return api.Empty{}, cdp.Wrap(err, op, r.Name)
	})
	return p, err
}

// laneTransporter is what a transporter's lane begins with.
const laneTransporter = "transporter/"

func (s *Service) tellTransporter(ctx context.Context, name string, state event.TransporterState, text string) {
	site, err := s.deps.Site(ctx)
	if err != nil {
		s.deps.Notify(err)
		return
	}
	s.emit(ctx, event.VCenterTransporterChanged{Site: site.Name, Name: name, State: state, Text: clip(text, longestText)})
}

// deployment is the work on one transporter.
type deployment struct {
	*Service
	op     string
	r      api.DeployRequest
	tell   report
	vc     VCenter
	rec    *kept[deployRecord]
	recipe recipe
	begun  bool // something is being made
}

func (d *deployment) do(ctx context.Context) (err error) {
	if d.vc, err = d.vcenter(ctx); err != nil {
		return err
	}
	inv, err := d.inventory(ctx, true)
	if err != nil {
		return err
	}
	if d.rec, err = load[deployRecord](ctx, d.Service, keyDeploy+d.r.Name); err != nil {
		return err
	}
	v, found := findTransporter(inv, d.r.Name)
	if err := d.fits(inv, found); err != nil {
		return err
	}
	d.tell("reads the OVA", 0, 0)
	if d.recipe, err = d.recipeOf(ctx, d.r); err != nil {
		return err
	}
	switch {
	case d.rec.Value.Stage == deployBack:
		if err := d.back(ctx); err != nil {
			return err
		}
		return d.do(ctx)
	case d.rec.Value.Stage == deployRemoving: // and it is gone
		if err := d.rec.drop(ctx, d.Service); err != nil {
			return err
		}
	}
	if d.r.Upgrade && !d.rec.Value.unheard() {
		return d.upgrade(ctx, inv, v)
	}
	return d.make(ctx, inv, v, found)
}

// fits refuses what does not go with what is there, or is under way.
func (d *deployment) fits(inv inventory.Inventory, found bool) error {
	name, rec := d.r.Name, d.rec.Value
	hint := "choose another name"
	if d.r.Upgrade {
		hint = hintStranger
	}
	err := stranger(d.op, name, inv, hint)
	switch {
	case found && rec.Stage == deployRemoving:
		return cdp.Errorf(cdp.Conflict, d.op, name, "a removal of it was begun, and is not done").
			WithHint("end that first: tidemark transporter remove " + name)
	case rec.Old != "" && !d.r.Upgrade:
		return cdp.Errorf(cdp.Conflict, d.op, name, "an upgrade of it was begun, and is not done").
			WithHint("end that first, with these settings or others: tidemark transporter upgrade " + name)
	case found || rec.Old != "":
		return nil
	case err != nil:
		return err
	case d.r.Upgrade && !rec.unheard():
		return nobody(d.op, name)
	}
	return nil
}

// make gives a new transporter, or goes on with one that is being made.
func (d *deployment) make(ctx context.Context, inv inventory.Inventory, v inventory.VM, found bool) error {
	half := found && d.rec.Value.Stage == deployImporting
	var other []string // what differs in the one that is there
	if found && !half {
		other = differs(v, d.recipe)
	}
	if len(other) > 0 {
		if !d.r.Upgrade {
			return cdp.Errorf(cdp.Conflict, d.op, d.r.Name, "there is one of that name already, which differs in %s", strings.Join(other, ", ")).
				WithHint("replace it: tidemark transporter upgrade " + d.r.Name)
		}
		// It was never heard, so there is nothing to go back to.
		if err := d.keepsNothing(ctx, d.op, d.r.Name, true); err != nil {
			return err
		}
	}
	if !found || half || len(other) > 0 {
		at, err := d.place(inv)
		if err != nil {
			return err
		}
		if err := d.importing(ctx); err != nil {
			return err
		}
		if found {
			d.tell("removes what was never heard", 0, 0)
			if err := d.destroyTransporter(ctx, d.vc, v); err != nil {
				return err
			}
		}
		if v, err = d.importOVA(ctx, at, d.r.Name, d.r.Name); err != nil {
			return d.refused(ctx, err)
		}
	}
	if err := d.bringUp(ctx, v); err != nil {
		return err
	}
	return d.rec.drop(ctx, d.Service)
}

// spot is where a transporter stands.
type spot struct {
	vmpolicy.Placement
	network inventory.Ref
}

// place finds it, or tells all that is wrong with what was asked for.
func (d *deployment) place(inv inventory.Inventory) (spot, error) {
	place, bad := vmpolicy.Place(inv, inventory.JobTarget{Host: d.r.Host, Datastore: d.r.Datastore, Folder: d.r.Folder})
	net, why := inv.FindNetwork(d.r.Network)
	if why != "" {
		bad = append(bad, inventory.Problem{Path: "network", Text: why})
	}
	var texts []string
	for _, p := range bad {
		texts = append(texts, p.Text)
	}
	if len(texts) > 0 {
		return spot{}, cdp.Errorf(cdp.Invalid, d.op, d.r.Name, "%s", strings.Join(texts, "; "))
	}
	return spot{place, net.Ref}, nil
}

// importing records that what is there may be half of it from now on.
func (d *deployment) importing(ctx context.Context) error {
	if d.rec.Value.Stage == deployImporting {
		return nil
	}
	d.rec.Value.Stage = deployImporting
	return d.rec.save(ctx, d.Service)
}

// importOVA makes the VM under a name, with a mark, and records when that is
// complete.
func (d *deployment) importOVA(ctx context.Context, at spot, name, mark string) (inventory.VM, error) {
	if err := d.importing(ctx); err != nil {
		return inventory.VM{}, err
	}
	d.begun = true
	d.unheard.Store(true)
	d.tellTransporter(ctx, d.r.Name, event.TransporterDeploying, "its OVA is imported at "+d.r.Host)
	settings := map[string]string{}
	for k, v := range d.r.Settings {
		settings[guestinfo+k] = v
	}
	settings[guestinfo+"name"] = d.r.Name
	extra := map[string]string{"disk.EnableUUID": "TRUE", inventory.MarkTransporter: mark, inventory.MarkRecipe: d.recipe.mark()}
	ref, err := d.vc.Import(ctx, inventory.Import{OVA: d.r.OVA, Name: name, Note: "Transporter " + d.r.Name + " of Tidemark",
		Host: at.Host, Pool: at.Pool, Folder: at.Folder, Datastore: at.Home.Ref,
		Networks: map[string]inventory.Ref{"": at.network}, Guestinfo: maps.Clone(settings), Extra: extra,
	}, func(percent int) { d.tell("imports the OVA", int64(percent), 100) })
	if err != nil {
		return inventory.VM{}, err
	}
	v, err := d.vmAt(ctx, d.vc, ref)
	if err != nil {
		return v, err
	}
	var own []string
	for _, d := range v.Hardware.Disks {
		own = append(own, d.UUID)
	}
	if err := d.vc.Label(ctx, ref, "", "", map[string]string{inventory.MarkDisks: strings.Join(own, ",")}); err != nil {
		return v, err
	}
	d.rec.Value.Stage = deployMade
	return v, d.rec.save(ctx, d.Service)
}

// errUnheard: a transporter was waited for as long as it may take.
var errUnheard = errors.New("it is powered on, but its journal service was not heard")

// bringUp powers a transporter on and waits until its journal is heard.
func (d *deployment) bringUp(ctx context.Context, v inventory.VM) error {
	name := d.r.Name
	d.tell("powers it on", 0, 0)
	if err := d.vc.PowerOn(ctx, v.Ref); err != nil {
		return err
	}
	d.tell("waits until its journal service answers", 0, 0)
	over := d.deps.Clock.After(d.cfg.AnswerWait)
	for {
		heard, _, err := d.deps.Journal.Heard(ctx, name)
		if err == nil && heard {
			break
		}
		select {
		case <-ctx.Done():
			return cdp.Wrap(ctx.Err(), "wait for transporter", name)
		case <-over:
			d.begun = true
			return cdp.Errorf(cdp.Transient, "wait for transporter", name, "%w in %s", errUnheard, d.cfg.AnswerWait).
				WithHint("look at its console: has it an address, and can it reach the site's NATS server?")
		case <-d.deps.Clock.After(d.cfg.CheckEvery):
		}
	}
	d.tellTransporter(ctx, name, event.TransporterReady, "its journal service answers")
	d.tell(name+" answers", 0, 0)
	return nil
}

// refused takes back what was made when it is of no use to try again.
func (d *deployment) refused(ctx context.Context, err error) error {
	if cdp.Is(err, cdp.Transient) || ctx.Err() != nil {
		return err
	}
	d.note(d.back(ctx))
	return err
}

// back takes back what was made: the record goes, so that nothing is thought of
// it again.
func (d *deployment) back(ctx context.Context) error {
	d.tell("takes it back", 0, 0)
	d.rec.Value.Stage = deployBack
	if err := d.rec.save(ctx, d.Service); err != nil {
		return err
	}
	inv, err := d.inventory(ctx, true)
	if err != nil {
		return err
	}
	mark := d.r.Name
	if d.rec.Value.Old != "" {
		mark += beside
	}
	if v, found := findTransporter(inv, mark); found {
		if err := d.destroyTransporter(ctx, d.vc, v); err != nil {
			return err
		}
	}
	if old := d.rec.Value.Old; old != "" {
		if err := d.vc.PowerOn(ctx, old); err != nil && !cdp.Is(err, cdp.NotFound) {
			return err
		}
	}
	return d.rec.drop(ctx, d.Service)
}

func (s *Service) note(err error) {
	if err != nil {
		s.deps.Notify(err)
	}
}

// hearLate hears transporters that answer after their deployment has given up, so
// that nobody takes them for such as never answered and keep nothing.
func (s *Service) hearLate(ctx context.Context) {
	for ctx.Err() == nil {
		var recs []Record
		if s.unheard.Swap(false) {
			var err error
			recs, err = s.deps.Records.List(ctx, keyDeploy)
			if err != nil && ctx.Err() == nil {
				s.deps.Notify(cdp.Wrap(err, "list records", keyDeploy))
			}
			if err != nil || len(recs) > 0 {
				s.unheard.Store(true)
			}
		}
		for _, r := range recs {
			name := strings.TrimPrefix(r.Key, keyDeploy)
			// While something else is done with it this is not needed.
			lane := laneTransporter + name
			w, _ := s.lanes.begin(lane, "hear", func(ctx context.Context, _ report) (any, error) { return nil, s.hear(ctx, name) })
			if w == nil {
				continue
			}
			<-w.done
			s.lanes.forget(lane, w)
			if ctx.Err() == nil {
				s.note(w.err)
			}
		}
		select {
		case <-ctx.Done():
		case <-s.deps.Clock.After(s.cfg.Retry):
		}
	}
}

func (s *Service) hear(ctx context.Context, name string) error {
	rec, err := load[deployRecord](ctx, s, keyDeploy+name)
	if err != nil || rec.Value.Stage != deployMade || !rec.Value.unheard() {
		return err
	}
	answers, _, err := s.deps.Journal.Heard(ctx, name)
	if err != nil || !answers {
		if cdp.Is(err, cdp.Transient) {
			err = nil
		}
		return err
	}
	s.tellTransporter(ctx, name, event.TransporterReady, "its journal service answers")
	return rec.drop(ctx, s)
}
