package vcenter

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// whereabouts finds the disks of a replica or test where they are now. A path is only
// where a disk was seen last: somebody may have renamed its datastore, or moved it to
// another one. Its UUID stays.
type whereabouts struct {
	vc         DiskReader
	datacenter inventory.Ref
	stores     []inventory.Datastore // of the datacenter
	vms        []inventory.VM        // that may have the disks
}

// datacenterOf is the datacenter of a member's disks. In a record of an older version
// it is the transporter's: the disks are attached there.
func (h *hotadd) datacenterOf(ctx context.Context, inv inventory.Inventory, m inventory.Member) (inventory.Ref, error) {
	if slices.ContainsFunc(inv.Datacenters, func(p inventory.Place) bool { return p.Ref == m.Datacenter }) {
		return m.Datacenter, nil
	}
	site, err := h.site(ctx)
	if err != nil {
		return "", err
	}
	t, why := inv.FindVM(site.Transporter)
	if why != "" {
		return "", cdp.Errorf(cdp.NotFound, "find transporter", site.Transporter, "%s", why).WithHint(hintTransporter)
	}
	return inv.DatacenterAt(t.Path), nil
}

// search looks for a member's disks at VMs and in its datacenter.
func (h *hotadd) search(ctx context.Context, vc DiskReader, inv inventory.Inventory, m inventory.Member, vms ...inventory.VM) (whereabouts, error) {
	dc, err := h.datacenterOf(ctx, inv, m)
	return whereabouts{vc, dc, inv.Inside(dc), vms}, err
}

// file is the path of a disk now, of the file below all snapshots; empty if the disk
// is nowhere. A disk that is attached to no VM is looked for at its path in every
// datastore of the datacenter.
func (w whereabouts) file(ctx context.Context, was, uuid string) (string, error) {
	if uuid == "" { // a path is all that is known of it
		return was, nil
	}
	for _, v := range w.vms {
		for _, d := range v.Hardware.Disks {
			if d.UUID == uuid && d.Mode != frozenMode {
				return baseOf(d), nil
			}
		}
	}
	_, path, _ := inventory.SplitFile(was)
	stores := slices.Clone(w.stores)
	slices.SortStableFunc(stores, func(a, b inventory.Datastore) int {
		rank := map[bool]int{true: 0, false: 1}
		return rank[a.Holds(was)] - rank[b.Holds(was)]
	})
	for _, d := range stores {
		file := inventory.JoinFile(d.Name, path)
		if d.Holds(was) {
			file = was
		} else if !d.Accessible {
			continue
		}
		has, err := w.vc.DiskUUID(ctx, w.datacenter, file)
		switch {
		case err == nil && strings.EqualFold(has, uuid):
			return file, nil
		case err != nil && !cdp.Is(err, cdp.NotFound) && !cdp.Is(err, cdp.Invalid):
			return "", err
		}
	}
	return "", nil
}

// baseOf is the file of a disk below all snapshots.
func baseOf(d inventory.Disk) string {
	if n := len(d.Below); n > 0 {
		return d.Below[n-1]
	}
	return d.File
}

// refresh records where a member's disks are now. lost are the recorded paths of those
// that are nowhere; another disk may be there.
func (w whereabouts) refresh(ctx context.Context, report *reporter, m *member) (lost []string, err error) {
	disks := slices.Clone(m.Value.Disks)
	var moved []string
	for i, d := range disks {
		file, err := w.file(ctx, d.File, d.UUID)
		if err != nil {
			return nil, err
		}
		switch file {
		case "":
			lost = append(lost, d.File)
		case d.File:
		default:
			moved = append(moved, d.File+" is now "+file)
			disks[i].File = file
		}
	}
	if len(moved) == 0 {
		return lost, nil
	}
	was := m.Value.Disks
	m.Value.Disks = disks
	if err := m.save(ctx); err != nil {
		m.Value.Disks = was
		return nil, err
	}
	report.member(ctx, m.Value, "disks of its replica were moved: "+strings.Join(moved, "; "))
	return lost, nil
}

// findDisks records where the disks of the replica and of the test are now.
func (r *run) findDisks(ctx context.Context) error {
	inv, err := r.cache.recent(ctx)
	if err != nil {
		return err
	}
	t, err := r.hotadd.transporter(ctx, r.vc)
	if err != nil {
		return err
	}
	vms := []inventory.VM{t}
	replica, err := r.cache.replica(ctx, r.vc, r.m.Value)
	if err == nil {
		vms = append(vms, replica)
	} else if !cdp.Is(err, cdp.NotFound) {
		return err
	}
	if r.req.Test && r.rec.exists() {
		test, err := r.vm(ctx)
		if err == nil {
			vms = append(vms, test)
		} else if !cdp.Is(err, cdp.NotFound) {
			return err
		}
	}
	at, err := r.hotadd.search(ctx, r.vc, inv, r.m.Value, vms...)
	if err != nil {
		return err
	}
	if _, err := at.refresh(ctx, r.report, r.m); err != nil || !r.req.Test {
		return err
	}
	disks := slices.Clone(r.rec.Value.Disks)
	for i, d := range disks {
		file, err := at.file(ctx, d.File, d.UUID)
		if err != nil {
			return err
		}
		disks[i].File = cmp.Or(file, d.File)
	}
	if slices.Equal(disks, r.rec.Value.Disks) {
		return nil
	}
	return r.enter(ctx, r.rec.Value.Stage, func(x *runRecord) { x.Disks = disks })
}
