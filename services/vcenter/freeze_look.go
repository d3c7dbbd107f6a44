package vcenter

import (
	"context"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// pass is a pass whose disks are frozen.
type pass struct {
	vm, name string        // the VM's instance UUID
	ref      inventory.Ref // the VM
	snap     inventory.Snapshot
	others   []inventory.Snapshot // that no pass of the group made, as of when it was frozen
}

// passMemory has the newest pass of each group, so that questions about it need not be
// preceded by looking for it. It is lost with the process.
type passMemory struct {
	mu sync.Mutex
	by map[cdp.GroupID]pass
}

func (m *passMemory) set(g cdp.GroupID, p pass) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by == nil {
		m.by = map[cdp.GroupID]pass{}
	}
	m.by[g] = p
}

// forget drops a group's pass, unless it is named keep.
func (m *passMemory) forget(g cdp.GroupID, keep string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by[g].name != keep {
		delete(m.by, g)
	}
}

func (m *passMemory) get(g cdp.GroupID) pass {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.by[g]
}

// pass is the pass that a request is about; NotFound.
func (f *freezer) pass(ctx context.Context, vc VMReader, r api.ChangedRequest) (pass, error) {
	if p := f.passes.get(r.Group); p.vm == r.VM && p.name == r.Pass {
		return p, nil
	}
	found, err := vc.Machines(ctx, r.VM)
	if err != nil {
		return pass{}, err
	}
	v := found[0]
	snap, others, ok := passSnapshot(v, r.Group, r.Pass)
	if !ok {
		return pass{}, cdp.Errorf(cdp.NotFound, "ask for changes", string(r.Group), "%s has no snapshot of the pass %s", v.Name, r.Pass)
	}
	return pass{vm: r.VM, name: r.Pass, ref: v.Ref, snap: snap, others: others}, nil
}

// passSnapshot finds the snapshot of a pass. others are those that no pass of the
// group made.
func passSnapshot(v inventory.VM, g cdp.GroupID, name string) (snap inventory.Snapshot, others []inventory.Snapshot, found bool) {
	for _, x := range v.Snapshots {
		p, ours := passOf(x, g)
		switch {
		case !ours:
			others = append(others, x)
		case p == name:
			snap, found = x, true
		}
	}
	return snap, others, found
}

// look reads a source VM and the transporter, as they are now, in one call. gone: the VM
// does not exist. An error is never for that.
func (f *freezer) look(ctx context.Context, vc VMReader, uuid string) (v, t inventory.VM, gone bool, err error) {
	at, err := f.hotadd.uuid(ctx)
	if err != nil {
		return v, t, false, err
	}
	both, err := vc.Machines(ctx, uuid, at)
	if cdp.Is(err, cdp.NotFound) { // which of them?
		if _, alone := vc.Machines(ctx, uuid); cdp.Is(alone, cdp.NotFound) {
			return v, t, true, nil
		}
		err = cdp.Wrap(err, "find transporter", at)
	}
	if err != nil {
		return v, t, false, err
	}
	return both[0], both[1], false, nil
}
