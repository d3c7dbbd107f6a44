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
	// A disk and its frozen copy have the same UUID, so there can be one pass only.
	if err := f.thawNow(ctx, api.ThawRequest{Group: r.Group, VM: r.VM, Keep: r.Pass}, tell); err != nil {
		return none, err
	}
	v, err := vc.VM(ctx, r.VM)
	if err != nil {
		return none, err
	}
	if err := f.withinReach(ctx, v); err != nil {
		return none, err
	}
	snap, others, found, err := f.passSnapshot(ctx, vc, v.Ref, r.Group, r.Pass)
	if err != nil {
		return none, err
	}
	for _, k := range r.Keys {
		if !slices.ContainsFunc(v.Hardware.Disks, func(d inventory.Disk) bool { return d.Key == k }) {
			return none, cdp.Errorf(cdp.Conflict, "freeze", v.Name, "it has no disk with the key %d any more: the VM's replication has stopped", k).
				WithHint("attach the disk again, or delete the job and apply it again")
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
	_, paths, err := f.hotadd.attach(ctx, vc, plugs)
	if err != nil {
		return none, err
	}
	for i, p := range paths {
		reply.Disks[i].Path = p
	}
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
	t, _ := inv.FindVM(site.Transporter)
	for _, p := range vmpolicy.Elsewhere(inv, []inventory.VM{v}, t) {
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
		if j, err := f.specs.VMJob(ctx, g.Of); err == nil {
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

// passSnapshot finds the snapshot of a pass. others are those that no pass of the
// group made.
func (f *freezer) passSnapshot(ctx context.Context, vc SnapshotReader, vm inventory.Ref, g cdp.GroupID, pass string) (snap inventory.Snapshot, others []inventory.Snapshot, found bool, err error) {
	all, err := vc.Snapshots(ctx, vm)
	for _, x := range all {
		p, ours := passOf(x, g)
		switch {
		case !ours:
			others = append(others, x)
		case p == pass:
			snap, found = x, true
		}
	}
	return snap, others, found, err
}

// sinceThen is the vCenter's change id of a request. It is a Conflict if the answer
// could leave out changes.
func (f *freezer) sinceThen(r api.ChangedRequest, snap inventory.Snapshot, others []inventory.Snapshot) (string, error) {
	const op = "ask for changes"
	if name := vmpolicy.Untracked(r.Key, others); name != "" {
		return "", cdp.Errorf(cdp.Conflict, op, string(r.Group), "the VM's snapshot %q was taken before changed-block tracking was on: the vCenter does not know all changes", name).
			WithHint("remove that snapshot; until then, every pass compares the whole disk")
	}
	l := vmpolicy.ParseLineage(r.Since)
	i := slices.IndexFunc(snap.Disks, func(d inventory.Disk) bool { return d.Key == r.Key })
	if i < 0 || r.Since == "*" {
		return l.ChangeID, nil // the vCenter knows which disks the snapshot has
	}
	if why := l.Since(snap.Disks[i], others, passTime(snap)); why != "" {
		return "", cdp.Errorf(cdp.Conflict, op, string(r.Group), "the changes since the last pass are not known: %s", why)
	}
	return l.ChangeID, nil
}

// areasPage is how many areas an answer to api.VMChanged has before it ends, and
// changedFor is how long it keeps asking the vCenter.
const (
	areasPage  = 4000
	changedFor = 2 * time.Second
)

// changed handles api.VMChanged. One answer of a vCenter covers only a part of the
// disk.
func (f *freezer) changed(ctx context.Context, r api.ChangedRequest) (any, error) {
	vc, err := f.connect(ctx)
	if err != nil {
		return nil, err
	}
	v, err := vc.VM(ctx, r.VM)
	if err != nil {
		return nil, err
	}
	snap, others, found, err := f.passSnapshot(ctx, vc, v.Ref, r.Group, r.Pass)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, cdp.Errorf(cdp.NotFound, "ask for changes", string(r.Group), "%s has no snapshot of the pass %s", v.Name, r.Pass)
	}
	since, err := f.sinceThen(r, snap, others)
	if err != nil {
		return nil, err
	}
	reply := api.ChangedReply{Areas: []inventory.Area{}}
	from, begun := r.From, f.clock.Now()
	for {
		areas, next, err := vc.Changed(ctx, v.Ref, snap.Ref, r.Key, since, from)
		if err != nil {
			return nil, cdp.Wrap(err, "ask for changes", string(r.Group))
		}
		if next != 0 && next <= from {
			return nil, cdp.Errorf(cdp.Transient, "ask for changes", string(r.Group), "the vCenter's answer for offset %d ends at offset %d", from, next)
		}
		reply.Areas, reply.Next, from = append(reply.Areas, areas...), next, next
		if next == 0 || len(reply.Areas) >= areasPage || clock.Since(f.clock, begun) > changedFor {
			return reply, nil
		}
	}
}
