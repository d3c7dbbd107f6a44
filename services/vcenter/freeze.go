package vcenter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// freezer freezes the disks of a source VM for a pass: it takes a snapshot, and
// attaches the frozen disks to the transporter.
type freezer struct {
	connect func(context.Context) (frozenVMs, error)
	cache   *inventoryCache
	hotadd  *hotadd
	lanes   *lanes
	specs   SourceSpecs
	report  *reporter
	clock   clock.Clock
	passes  passMemory
	slots   passSlots
}

// frozenVMs is what a freezer needs of a vCenter.
type frozenVMs interface {
	VMReader
	SnapshotReader
	SnapshotMaker
	ChangeTracker
	DiskSlots
}

// frozenMode is the mode in which frozen disks are attached: they are only read.
const frozenMode = "independent_nonpersistent"

// A pass's snapshot is identified by its name and note, which also has the time
// before it was requested. So it is found again after a crash.
func passName(g cdp.GroupID, pass string) string { return "tidemark-" + string(g) + "-" + pass }

func passMark(g cdp.GroupID) string { return "(group " + string(g) + ")" }

func passNote(g cdp.GroupID, at time.Time) string {
	return fmt.Sprintf("Made by Tidemark to read the disks as they stood at %s; it is removed by itself. %s", at.UTC().Format(time.RFC3339Nano), passMark(g))
}

func passTime(x inventory.Snapshot) time.Time {
	_, text, _ := strings.Cut(x.Note, "stood at ")
	text, _, _ = strings.Cut(text, ";")
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return x.Created
	}
	return at
}

// passOf is the pass of a group that a snapshot belongs to; false: it is not ours.
func passOf(x inventory.Snapshot, g cdp.GroupID) (string, bool) {
	pass, ok := strings.CutPrefix(x.Name, passName(g, ""))
	return pass, ok && strings.Contains(x.Note, passMark(g))
}

// orphan reports whether a snapshot belongs to a pass whose job is deleted.
func (f *freezer) orphan(ctx context.Context, x inventory.Snapshot) (bool, error) {
	_, of, _ := strings.Cut(x.Note, "(group ")
	of, _, _ = strings.Cut(of, ")")
	if _, ours := passOf(x, cdp.GroupID(of)); !ours {
		return false, nil
	}
	_, err := f.specs.Group(ctx, of)
	if cdp.Is(err, cdp.NotFound) {
		return true, nil
	}
	return false, err
}

func lane(kind string, g cdp.GroupID) string { return kind + "/" + string(g) }

// freeze handles api.VMFreeze.
func (f *freezer) freeze(ctx context.Context, r api.FreezeRequest) (any, error) {
	out, p, err := inLane(ctx, f.lanes, lane("source", r.Group), "freeze "+r.Pass, func(ctx context.Context, tell progress) (api.FreezeReply, error) {
		reply, err := f.freezeNow(ctx, r, tell)
		return reply, cdp.Wrap(err, "freeze", string(r.Group))
	})
	out.Progress = p
	return out, err
}

func (f *freezer) freezeNow(ctx context.Context, r api.FreezeRequest, tell progress) (api.FreezeReply, error) {
	var none api.FreezeReply
	vc, err := f.connect(ctx)
	if err != nil {
		return none, err
	}
	gave := f.slots.before()
	v, t, gone, err := f.look(ctx, vc, r.VM)
	if err == nil && !gone {
		// A disk and its frozen copy have the same UUID, so there can be one pass only.
		var changed bool
		if changed, err = f.thawOf(ctx, vc, v, t, api.ThawRequest{Group: r.Group, VM: r.VM, Keep: r.Pass}, tell); err == nil && changed {
			gave = f.slots.before()
			v, t, gone, err = f.look(ctx, vc, r.VM)
		}
	}
	if err == nil && gone {
		if err = f.detachStray(ctx, vc, tell); err == nil {
			err = cdp.Errorf(cdp.NotFound, "freeze", r.VM, "no VM has this instance UUID")
		}
	}
	if err != nil {
		return none, err
	}
	if of := v.Mark(inventory.MarkGroup); of != "" {
		return none, cdp.Errorf(cdp.Conflict, "freeze", v.Name, "it is the replica of the group %s since a failover, and is not captured any more", of)
	}
	if v, t, err = f.inTurn(ctx, vc, r, v, slotLook{t, gave}, tell); err != nil {
		return none, err
	}
	if err := f.withinReach(ctx, v); err != nil {
		return none, err
	}
	snap, others, found := passSnapshot(v, r.Group, r.Pass)
	for _, k := range r.Keys {
		if !slices.ContainsFunc(v.Hardware.Disks, func(d inventory.Disk) bool { return d.Key == k }) {
			return none, cdp.Errorf(cdp.Conflict, "freeze", v.Name, "it has no disk with the key %d any more", k).
				WithHint("the job goes on without it once its target site has seen that; if that does not answer, attach the disk again")
		}
	}
	if !found {
		if snap, err = f.takeSnapshot(ctx, vc, v, r, tell); err != nil {
			return none, err
		}
	}
	tell("attaches the frozen disks to the transporter", 0, 0)
	reply := api.FreezeReply{At: passTime(snap)}
	var plugs []inventory.Plug
	for _, k := range r.Keys {
		i := slices.IndexFunc(snap.Disks, func(d inventory.Disk) bool { return d.Key == k })
		if i < 0 {
			return none, cdp.Errorf(cdp.Conflict, "freeze", v.Name, "the snapshot has no disk with the key %d: was it removed from the VM, or is it independent?", k)
		}
		plugs = append(plugs, inventory.Plug{File: snap.Disks[i].File, UUID: snap.Disks[i].UUID, Frozen: true})
		frozen := api.FrozenDisk{}
		if vmpolicy.Untracked(k, others) == "" {
			frozen.ChangeID = vmpolicy.LineageOf(snap.Disks[i], others, reply.At).String()
		}
		reply.Disks = append(reply.Disks, frozen)
	}
	_, paths, err := f.hotadd.attachTo(ctx, vc, t, plugs)
	if err != nil {
		return none, err
	}
	for i, p := range paths {
		reply.Disks[i].Path = p
	}
	f.passes.set(r.Group, pass{vm: r.VM, name: r.Pass, ref: v.Ref, snap: snap, others: others})
	return reply, nil
}

// withinReach is a Conflict if the transporter cannot attach the disks of a VM.
func (f *freezer) withinReach(ctx context.Context, v inventory.VM) error {
	site, err := f.hotadd.site(ctx)
	if err != nil {
		return err
	}
	inv, err := f.cache.recent(ctx)
	if err != nil {
		return err
	}
	is := func(x inventory.VM) bool { return x.UUID == v.UUID }
	if !slices.ContainsFunc(inv.VMs, is) {
		if inv, err = f.cache.fresh(ctx); err != nil {
			return err
		}
	}
	i := slices.IndexFunc(inv.VMs, is)
	if i < 0 {
		return cdp.Errorf(cdp.Transient, "freeze", v.Name, "the inventory does not have it yet")
	}
	t, _ := inv.FindVM(site.Transporter)
	for _, p := range vmpolicy.Elsewhere(inv, inv.VMs[i:i+1], t) {
		return cdp.Errorf(cdp.Conflict, "freeze", v.Name, "%s", p.Text).
			WithHint("move the VM back, or replicate it from a site whose transporter is in its datacenter")
	}
	return nil
}

// takeSnapshot takes the pass's snapshot. It first turns changed-block tracking on
// if the VM supports it; otherwise the whole disk is read.
func (f *freezer) takeSnapshot(ctx context.Context, vc frozenVMs, v inventory.VM, r api.FreezeRequest, tell progress) (inventory.Snapshot, error) {
	if !v.Tracking {
		tell("turns changed-block tracking on", 0, 0)
		if err := vc.Track(ctx, v.Ref); err != nil && !cdp.Is(err, cdp.Invalid) && !cdp.Is(err, cdp.Conflict) {
			return inventory.Snapshot{}, err
		}
	}
	quiesce := false
	if g, err := f.specs.Group(ctx, string(r.Group)); err == nil && g.Of != "" {
		if j, err := f.specs.VMJob(ctx, g.Target.Site, g.Of); err == nil {
			quiesce = j.Job.Source.Quiesce && j.Job.Source.Capture == cdp.CBT
		}
	}
	tell("takes a snapshot", 0, 0)
	at := f.clock.Now()
	snap, err := vc.Snapshot(ctx, v.Ref, passName(r.Group, r.Pass), passNote(r.Group, at), quiesce)
	if err != nil {
		return snap, err
	}
	snap.Note = passNote(r.Group, at)
	return snap, nil
}
