package vcenter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// A pass's snapshot is known by its name and by its note, which also has the
// time before it was asked for: so it survives a crash of ours.
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

// passOf says which pass of a group a snapshot is; false: it is not ours.
func passOf(x inventory.Snapshot, g cdp.GroupID) (string, bool) {
	pass, ok := strings.CutPrefix(x.Name, passName(g, ""))
	return pass, ok && strings.Contains(x.Note, passMark(g))
}

// orphan reports whether a snapshot is of a pass whose job is gone.
func (s *Service) orphan(ctx context.Context, x inventory.Snapshot) (bool, error) {
	_, of, _ := strings.Cut(x.Note, "(group ")
	of, _, _ = strings.Cut(of, ")")
	if _, ours := passOf(x, cdp.GroupID(of)); !ours {
		return false, nil
	}
	_, err := s.deps.Groups.Get(ctx, of)
	if cdp.Is(err, cdp.NotFound) {
		return true, nil
	}
	return false, err
}

func lane(kind string, g cdp.GroupID) string { return kind + "/" + string(g) }

// freeze handles api.VMFreeze.
func (s *Service) freeze(ctx context.Context, r api.FreezeRequest) (any, error) {
	out, p, err := inLane(ctx, s.lanes, lane("source", r.Group), "freeze "+r.Pass, func(ctx context.Context, tell report) (api.FreezeReply, error) {
		reply, err := s.freezeNow(ctx, r, tell)
		return reply, cdp.Wrap(err, "freeze", string(r.Group))
	})
	out.Progress = p
	return out, err
}

func (s *Service) freezeNow(ctx context.Context, r api.FreezeRequest, tell report) (api.FreezeReply, error) {
	var none api.FreezeReply
	vc, err := s.vcenter(ctx)
	if err != nil {
		return none, err
	}
	// A disk and its frozen self have one UUID, so there is one pass at a time.
	if err := s.thawNow(ctx, api.ThawRequest{Group: r.Group, VM: r.VM, Keep: r.Pass}, tell); err != nil {
		return none, err
	}
	v, err := vc.VM(ctx, r.VM)
	if err != nil {
		return none, err
	}
	snap, found, err := s.passSnapshot(ctx, vc, v.Ref, r.Group, r.Pass)
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
		if snap, err = s.takeSnapshot(ctx, vc, v, r, tell); err != nil {
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
		plugs = append(plugs, inventory.Plug{File: snap.Disks[i].File, Frozen: true})
		reply.Disks = append(reply.Disks, api.FrozenDisk{ChangeID: snap.Disks[i].ChangeID})
	}
	_, paths, err := s.plugIn(ctx, vc, plugs)
	if err != nil {
		return none, err
	}
	for i, p := range paths {
		reply.Disks[i].Path = p
	}
	return reply, nil
}

// takeSnapshot makes the pass's snapshot, with changed-block tracking on where
// the VM can have it: where not, the whole disk is read.
func (s *Service) takeSnapshot(ctx context.Context, vc VCenter, v inventory.VM, r api.FreezeRequest, tell report) (inventory.Snapshot, error) {
	if !v.Tracking {
		tell("turns changed-block tracking on", 0, 0)
		if err := vc.Track(ctx, v.Ref); err != nil && !cdp.Is(err, cdp.Invalid) && !cdp.Is(err, cdp.Conflict) {
			return inventory.Snapshot{}, err
		}
	}
	quiesce := false
	if g, err := s.deps.Groups.Get(ctx, string(r.Group)); err == nil && g.Of != "" {
		if j, err := s.deps.Jobs.Get(ctx, g.Of); err == nil {
			quiesce = j.Job.Source.Quiesce && j.Job.Source.Capture == cdp.CBT
		}
	}
	tell("takes a snapshot", 0, 0)
	at := s.deps.Clock.Now()
	snap, err := vc.Snapshot(ctx, v.Ref, passName(r.Group, r.Pass), passNote(r.Group, at), quiesce)
	if err != nil {
		return snap, err
	}
	snap.Note = passNote(r.Group, at)
	return snap, nil
}

// passSnapshot finds the snapshot of a pass.
func (s *Service) passSnapshot(ctx context.Context, vc VCenter, vm inventory.Ref, g cdp.GroupID, pass string) (inventory.Snapshot, bool, error) {
	all, err := vc.Snapshots(ctx, vm)
	if err != nil {
		return inventory.Snapshot{}, false, err
	}
	for _, x := range all {
		if p, ours := passOf(x, g); ours && p == pass {
			return x, true, nil
		}
	}
	return inventory.Snapshot{}, false, nil
}

// areasPage is how many areas one answer to api.VMChanged has before it is cut,
// and changedFor how long it asks the vCenter on.
const (
	areasPage  = 4000
	changedFor = 2 * time.Second
)

// changed handles api.VMChanged. One answer of a vCenter covers a part only.
func (s *Service) changed(ctx context.Context, r api.ChangedRequest) (any, error) {
	vc, err := s.vcenter(ctx)
	if err != nil {
		return nil, err
	}
	v, err := vc.VM(ctx, r.VM)
	if err != nil {
		return nil, err
	}
	snap, found, err := s.passSnapshot(ctx, vc, v.Ref, r.Group, r.Pass)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, cdp.Errorf(cdp.NotFound, "ask for changes", string(r.Group), "%s has no snapshot of the pass %s", v.Name, r.Pass)
	}
	reply := api.ChangedReply{Areas: []inventory.Area{}}
	from, begun := r.From, time.Now()
	for {
		areas, next, err := vc.Changed(ctx, v.Ref, snap.Ref, r.Key, r.Since, from)
		if err != nil {
			return nil, cdp.Wrap(err, "ask for changes", string(r.Group))
		}
		if next != 0 && next <= from {
			return nil, cdp.Errorf(cdp.Transient, "ask for changes", string(r.Group), "the vCenter's answer from %d on ends at %d", from, next)
		}
		reply.Areas, reply.Next, from = append(reply.Areas, areas...), next, next
		if next == 0 || len(reply.Areas) >= areasPage || time.Since(begun) > changedFor {
			return reply, nil
		}
	}
}
