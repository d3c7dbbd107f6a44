package vsphere

import (
	"context"
	"strings"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

const hintUntracked = "turn change tracking on, take a new snapshot, and compare the whole disk once"

// Track turns changed-block tracking on. It counts from the next snapshot. Invalid:
// the VM's hardware version is too old.
func (c *Client) Track(ctx context.Context, vm inventory.Ref) error {
	const op = "turn change tracking on"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	m, err := c.config(ctx, op, ref)
	if err != nil {
		return err
	}
	if isTrue(m.Config.ChangeTrackingEnabled) {
		return nil
	}
	if n := vmxNumber(m.Config.Version); n > 0 && n < 7 {
		return cdp.Errorf(cdp.Invalid, op, ref.String(), "its virtual hardware (%s) cannot track changes", m.Config.Version).
			WithHint("upgrade its hardware to vmx-07 or newer")
	}
	return c.reconfigure(ctx, op, ref, types.VirtualMachineConfigSpec{ChangeTrackingEnabled: types.NewBool(true)})
}

// Changed are areas of a disk that changed between a change id and a snapshot, from
// an offset on, in order. next is the offset of the next question, 0 at the end of
// the disk. They may include unchanged areas. Since "*" they are the allocated
// areas, as far as the datastore reports them. The snapshot of the change id may be
// removed already.
//
// Conflict: the changes are unknown because tracking was off or was reset. The
// whole disk has to be compared.
func (c *Client) Changed(ctx context.Context, vm, snapshot inventory.Ref, disk int32, since string, from int64) ([]inventory.Area, int64, error) {
	const op = "ask for changed areas"
	ref, err := vmRef(vm)
	if err != nil {
		return nil, 0, err
	}
	at, err := snapshotRef(snapshot)
	if err != nil {
		return nil, 0, err
	}
	d, err := c.frozenDisk(ctx, op, at, disk)
	if err != nil {
		return nil, 0, err
	}
	subject := d.File
	if from < 0 || from > d.Size || since == "" {
		return nil, 0, cdp.Errorf(cdp.Invalid, op, subject, "since %q from %d of %d bytes", since, from, d.Size)
	}
	if from == d.Size {
		return nil, 0, nil
	}
	if d.ChangeID == "" {
		return nil, 0, cdp.Errorf(cdp.Conflict, op, subject, "changed-block tracking was off when the snapshot was taken").WithHint(hintUntracked)
	}
	if since != "*" && lineage(since) != lineage(d.ChangeID) {
		return nil, 0, trackingReset(op, subject, "the change id is of another line: "+since+", now "+d.ChangeID)
	}
	var got types.DiskChangeInfo
	err = c.do(ctx, op, subject, func(ctx context.Context, v *vim25.Client) error {
		res, err := methods.QueryChangedDiskAreas(ctx, v, &types.QueryChangedDiskAreas{
			This: ref, Snapshot: &at, DeviceKey: disk, StartOffset: from, ChangeId: since})
		if err != nil {
			return untold(op, subject, since, err)
		}
		got = res.Returnval
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return answered(op, subject, got, from, d.Size)
}

// answered reads an answer, which may cover only a part.
func answered(op, subject string, got types.DiskChangeInfo, from, size int64) ([]inventory.Area, int64, error) {
	next := got.StartOffset + got.Length
	if next <= from {
		return nil, 0, cdp.Errorf(cdp.Internal, op, subject, "the vCenter answered for bytes %d to %d when asked from offset %d", got.StartOffset, next, from)
	}
	var areas []inventory.Area
	for _, a := range got.ChangedArea {
		// At most to the end of the disk: the last area may be rounded up.
		off, end := max(a.Start, from), min(a.Start+a.Length, size)
		if off < end {
			areas = append(areas, inventory.Area{Off: off, N: end - off})
			next = max(next, end)
		}
	}
	if next >= size {
		next = 0
	}
	return areas, next, nil
}

// untold reports whether a fault says that a change id is not valid any more. A
// vCenter has several ways to say so: a wrong argument, or a fault of the disk
// file.
func untold(op, subject, since string, err error) error {
	f, text := faultOf(err)
	switch f := f.(type) {
	case *types.InvalidArgument:
		if strings.Contains(strings.ToLower(f.InvalidProperty), "devicekey") {
			return err
		}
	case *types.FileFault, *types.NotFound:
	default:
		return err
	}
	if text == "" {
		text = faultName(f)
	}
	if since == "*" {
		return cdp.Errorf(cdp.Conflict, op, subject, "the vCenter does not report allocated areas: %s", text).
			WithHint("read the whole disk; or remove all snapshots, turn change tracking off and on again")
	}
	return trackingReset(op, subject, text)
}

func trackingReset(op, subject, why string) error {
	return cdp.Errorf(cdp.Conflict, op, subject, "changed-block tracking was reset since then (%s)", why).
		WithHint("compare the whole disk once, and continue from this snapshot's change id")
}

// lineage is the part of a change id that is constant while tracking is not broken.
func lineage(id string) string {
	line, _, _ := strings.Cut(id, "/")
	return line
}

// frozenDisk is one disk of a snapshot, by key; NotFound.
func (c *Client) frozenDisk(ctx context.Context, op string, at types.ManagedObjectReference, key int32) (inventory.Disk, error) {
	disks, known := c.taken.get(at)
	if !known {
		var s mo.VirtualMachineSnapshot
		err := c.do(ctx, op, at.String(), func(ctx context.Context, v *vim25.Client) error {
			s = mo.VirtualMachineSnapshot{}
			return property.DefaultCollector(v).RetrieveOne(ctx, at, []string{"config.hardware.device"}, &s)
		})
		if err != nil {
			return inventory.Disk{}, err
		}
		disks = frozenDisks(s)
		c.taken.set(at, disks)
	}
	for _, d := range disks {
		if d.Key == key {
			return d, nil
		}
	}
	return inventory.Disk{}, cdp.Errorf(cdp.NotFound, op, at.String(), "the snapshot has no disk %d", key)
}
