package vcenter

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// deployRecord is a transporter that is being deployed, replaced or removed. It is
// dropped when that is done or refused.
type deployRecord struct {
	Stage deployStage `json:"stage"`
	// Old is the VM that an upgrade replaces. Without it the transporter is new and
	// was never heard: see hearLate.
	Old inventory.Ref `json:"old,omitempty"`
	// Data is the disk that the old VM gives to the new one; zero: it gives none, or not
	// yet.
	Data dataDisk `json:"data,omitzero"`
}

// deployStage is how far a deployment, upgrade or removal is.
type deployStage string

const (
	deployImporting deployStage = "importing" // the VM may be incomplete
	deployMade      deployStage = "made"
	deploySwitched  deployStage = "switched" // of an upgrade: the old VM keeps nothing, and is off
	deployHeard     deployStage = "heard"    // of an upgrade: the new VM answers, and the old one is being destroyed
	deployBack      deployStage = "back"     // the new VM is being destroyed, and the old one powered on
	deployRemoving  deployStage = "removing" // it is off, and keeps nothing or was removed by force
)

// unheard: it is new and never answered, so it keeps no journal.
func (r deployRecord) unheard() bool {
	return r.Stage != "" && r.Stage != deployRemoving && r.Old == ""
}

// beside is the suffix of a mark for the VM that an upgrade deploys beside the old
// one. No transporter's name can have it.
const beside = "/new"

// deploy handles api.TransporterDeploy. It is idempotent, and never touches a VM of
// that name that is not ours, or that was deployed from something else.
func (t *transporters) deploy(ctx context.Context, r api.DeployRequest) (any, error) {
	if err := cdp.CheckName("name", r.Name); err != nil {
		return nil, err
	}
	op := "deploy transporter"
	if r.Upgrade {
		op = "upgrade transporter"
	}
	raw, _ := json.Marshal(r) // it was read from JSON
	id := op + " " + t.lanes.sign(raw)
	_, p, err := inLane(ctx, t.lanes, laneTransporter+r.Name, id, func(ctx context.Context, tell progress) (api.Empty, error) {
		d := &deployment{transporters: t, op: op, r: r, tell: tell}
		err := d.do(ctx)
		if err != nil && d.begun && ctx.Err() == nil && (!cdp.Is(err, cdp.Transient) || errors.Is(err, errUnheard)) {
			t.report.transporter(ctx, r.Name, event.TransporterFailed, err.Error())
		}
		return api.Empty{}, cdp.Wrap(err, op, r.Name)
	})
	return p, err
}

// laneTransporter is the prefix of a transporter's lane.
const laneTransporter = "transporter/"

// deployment is the work on one transporter.
type deployment struct {
	*transporters
	op     string
	r      api.DeployRequest
	tell   progress
	vc     applianceVMs
	rec    *record[deployRecord]
	recipe recipe
	begun  bool // a VM is being made
}

func (d *deployment) do(ctx context.Context) (err error) {
	if d.vc, err = d.connect(ctx); err != nil {
		return err
	}
	inv, err := d.cache.fresh(ctx)
	if err != nil {
		return err
	}
	if d.rec, err = load[deployRecord](ctx, d.records, keyDeploy+d.r.Name); err != nil {
		return err
	}
	v, found := findTransporter(inv, d.r.Name)
	if err := d.fits(inv, found); err != nil {
		return err
	}
	d.tell("reads the OVA", 0, 0)
	if err := d.readOVA(ctx); err != nil {
		return err
	}
	switch {
	case d.rec.Value.Stage == deployBack:
		if err := d.rollBack(ctx); err != nil {
			return err
		}
		return d.do(ctx)
	case d.rec.Value.Stage == deployRemoving: // and the VM is gone
		if err := d.rec.drop(ctx); err != nil {
			return err
		}
	}
	if d.r.Upgrade && !d.rec.Value.unheard() {
		return d.upgrade(ctx, inv, v)
	}
	return d.make(ctx, inv, v, found)
}

// fits is a Conflict or NotFound if the request does not fit what exists or is being
// done.
func (d *deployment) fits(inv inventory.Inventory, found bool) error {
	name, rec := d.r.Name, d.rec.Value
	hint := "choose another name"
	if d.r.Upgrade {
		hint = hintStranger
	}
	err := stranger(d.op, name, inv, hint)
	switch {
	case found && rec.Stage == deployRemoving:
		return cdp.Errorf(cdp.Conflict, d.op, name, "its removal has begun and is not finished").
			WithHint("finish that first: tidemark transporter remove " + name)
	case rec.Old != "" && !d.r.Upgrade:
		return cdp.Errorf(cdp.Conflict, d.op, name, "its upgrade has begun and is not finished").
			WithHint("finish that first, with these or other settings: tidemark transporter upgrade " + name)
	case found || rec.Old != "":
		return nil
	case err != nil:
		return err
	case d.r.Upgrade && !rec.unheard():
		return nobody(d.op, name)
	}
	return nil
}

// make deploys a new transporter, or continues a deployment.
func (d *deployment) make(ctx context.Context, inv inventory.Inventory, v inventory.VM, found bool) error {
	half := found && d.rec.Value.Stage == deployImporting
	var other []string // in which the existing VM differs
	if found && !half {
		other = differs(v, d.recipe)
	}
	if len(other) > 0 {
		if !d.r.Upgrade {
			return cdp.Errorf(cdp.Conflict, d.op, d.r.Name, "there is already one of that name, which differs in %s", strings.Join(other, ", ")).
				WithHint("replace it: tidemark transporter upgrade " + d.r.Name)
		}
		// It was never heard, so there is nothing to fall back to.
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
			d.tell("removes the one that never answered", 0, 0)
			if err := d.destroy(ctx, d.vc, v); err != nil {
				return err
			}
		}
		if v, err = d.importOVA(ctx, at, d.r.Name, d.r.Name); err != nil {
			return d.giveUp(ctx, err)
		}
	}
	if err := d.bringUp(ctx, v); err != nil {
		return err
	}
	return d.rec.drop(ctx)
}

// spot is where a transporter is deployed.
type spot struct {
	vmpolicy.Placement
	network inventory.Ref
}

// place finds the spot, or reports everything that is wrong with the request.
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

// importing records that the VM may be incomplete from now on.
func (d *deployment) importing(ctx context.Context) error {
	if d.rec.Value.Stage == deployImporting {
		return nil
	}
	d.rec.Value.Stage = deployImporting
	return d.rec.save(ctx)
}

// importOVA makes the VM with a name and a mark, and records when it is complete.
func (d *deployment) importOVA(ctx context.Context, at spot, name, mark string) (inventory.VM, error) {
	if err := d.importing(ctx); err != nil {
		return inventory.VM{}, err
	}
	d.begun = true
	d.unheard.Store(true)
	d.report.transporter(ctx, d.r.Name, event.TransporterDeploying, "its OVA is being imported at "+d.r.Host)
	settings := map[string]string{}
	for k, v := range d.r.Settings {
		settings[guestinfo+k] = v
	}
	settings[guestinfo+"name"] = d.r.Name
	extra := map[string]string{"disk.EnableUUID": "TRUE", inventory.MarkTransporter: mark, inventory.MarkRecipe: d.recipe.mark()}
	ref, err := d.vc.Import(ctx, inventory.Import{OVA: d.r.OVA, Name: name, Note: "Transporter " + d.r.Name + " of Tidemark",
		Host: at.Host, Pool: at.Pool, Folder: at.Folder, Datastore: at.Home.Ref,
		Networks: map[string]inventory.Ref{"": at.network}, Guestinfo: maps.Clone(settings), Extra: extra, KeepData: mark != d.r.Name && d.givesData(ctx),
	}, func(percent int) { d.tell("imports the OVA", int64(percent), 100) })
	if err != nil {
		return inventory.VM{}, err
	}
	v, err := d.cache.vmAt(ctx, d.vc, ref)
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
	return v, d.rec.save(ctx)
}

// errUnheard: a transporter did not answer in time.
var errUnheard = errors.New("it is powered on, but its journal service was not heard")

// bringUp powers a transporter on and waits until its journal is heard.
func (d *deployment) bringUp(ctx context.Context, v inventory.VM) error {
	name := d.r.Name
	d.tell("powers it on", 0, 0)
	if err := d.vc.PowerOn(ctx, v.Ref); err != nil {
		return err
	}
	d.tell("waits until its journal service answers", 0, 0)
	over := clock.After(d.clock, d.cfg.AnswerWait)
	for {
		heard, _, err := d.journal.Heard(ctx, name)
		if err == nil && heard {
			break
		}
		select {
		case <-ctx.Done():
			return cdp.Wrap(ctx.Err(), "wait for transporter", name)
		case <-over:
			d.begun = true
			return cdp.Errorf(cdp.Transient, "wait for transporter", name, "%w in %s", errUnheard, d.cfg.AnswerWait).
				WithHint("look at its console: does it have an address, and can it reach the site's NATS server?")
		case <-clock.After(d.clock, d.cfg.CheckEvery):
		}
	}
	d.report.transporter(ctx, name, event.TransporterReady, "its journal service answers")
	d.tell(name+" answers", 0, 0)
	return nil
}

// giveUp undoes a deployment that failed for good, and returns why.
func (d *deployment) giveUp(ctx context.Context, err error) error {
	if cdp.Is(err, cdp.Transient) || ctx.Err() != nil {
		return err
	}
	d.report.note(d.rollBack(ctx))
	return err
}

// rollBack destroys the new VM, powers the old one of an upgrade on again, and drops
// the record.
func (d *deployment) rollBack(ctx context.Context) error {
	d.tell("undoes the deployment", 0, 0)
	d.rec.Value.Stage = deployBack
	if err := d.rec.save(ctx); err != nil {
		return err
	}
	inv, err := d.cache.fresh(ctx)
	if err != nil {
		return err
	}
	mark := d.r.Name
	if d.rec.Value.Old != "" {
		mark += beside
	}
	v, found := findTransporter(inv, mark)
	if err := d.returnData(ctx, v.Ref); err != nil {
		return err
	}
	if found {
		if err := d.destroy(ctx, d.vc, v); err != nil {
			return err
		}
	}
	if old := d.rec.Value.Old; old != "" {
		if err := d.vc.PowerOn(ctx, old); err != nil && !cdp.Is(err, cdp.NotFound) {
			return err
		}
	}
	return d.rec.drop(ctx)
}
