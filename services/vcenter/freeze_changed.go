package vcenter

import (
	"context"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

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
	p, err := f.pass(ctx, vc, r)
	if err != nil {
		return nil, err
	}
	since, err := f.sinceThen(r, p.snap, p.others)
	if err != nil {
		return nil, err
	}
	reply := api.ChangedReply{Areas: []inventory.Area{}}
	from, begun := r.From, f.clock.Now()
	for {
		areas, next, err := vc.Changed(ctx, p.ref, p.snap.Ref, r.Key, since, from)
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
