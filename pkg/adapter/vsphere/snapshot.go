package vsphere

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// Snapshot takes a snapshot without memory, and returns it with its frozen disks.
// If the guest cannot be quiesced as requested, it is an error, and no snapshot is
// taken. If ctx ends, the snapshot may still be taken: look for its name.
func (c *Client) Snapshot(ctx context.Context, vm inventory.Ref, name, note string, quiesce bool) (inventory.Snapshot, error) {
	const op = "make a snapshot"
	ref, err := vmRef(vm)
	if err != nil {
		return inventory.Snapshot{}, err
	}
	res, err := c.task(ctx, op, ref.String(), func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		return object.NewVirtualMachine(v, ref).CreateSnapshot(ctx, name, note, false, quiesce)
	})
	if err != nil {
		return inventory.Snapshot{}, err
	}
	made, ok := res.(types.ManagedObjectReference)
	if !ok {
		return inventory.Snapshot{}, cdp.Errorf(cdp.Internal, op, ref.String(), "the task's result is a %T, not a snapshot", res)
	}
	all, err := c.snapshotsWith(ctx, op, ref, made)
	if err != nil {
		return inventory.Snapshot{}, err
	}
	for _, s := range all {
		if s.Ref == refOf(&made) {
			return s, nil
		}
	}
	return inventory.Snapshot{}, cdp.Errorf(cdp.Transient, op, ref.String(), "the snapshot %s was taken, and is already gone", made.Value)
}

// snapshotsWith reads a VM's snapshots in one call. Only made has its disks.
func (c *Client) snapshotsWith(ctx context.Context, op string, vm, made types.ManagedObjectReference) (list []inventory.Snapshot, err error) {
	spec := types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{Obj: vm}, {Obj: made}},
		PropSet: []types.PropertySpec{{Type: "VirtualMachine", PathSet: []string{"snapshot"}},
			{Type: "VirtualMachineSnapshot", PathSet: []string{"config.hardware.device"}}},
	}
	err = c.do(ctx, op, vm.String(), func(ctx context.Context, v *vim25.Client) error {
		res, err := property.DefaultCollector(v).RetrieveProperties(ctx, types.RetrieveProperties{SpecSet: []types.PropertyFilterSpec{spec}})
		if err != nil {
			return err
		}
		var m mo.VirtualMachine
		var s mo.VirtualMachineSnapshot
		for _, o := range res.Returnval {
			var err error
			if o.Obj == vm {
				err = mo.LoadObjectContent([]types.ObjectContent{o}, &m)
			} else {
				err = mo.LoadObjectContent([]types.ObjectContent{o}, &s)
			}
			if err != nil {
				return err
			}
		}
		list = snapshotsOf(m.Snapshot)
		for i := range list {
			if list[i].Ref == refOf(&made) {
				list[i].Disks = frozenDisks(s)
				c.taken.set(made, list[i].Disks)
			}
		}
		return nil
	})
	return list, err
}

// Snapshots are the VM's, oldest first, with their disks.
func (c *Client) Snapshots(ctx context.Context, vm inventory.Ref) ([]inventory.Snapshot, error) {
	const op = "list snapshots"
	ref, err := vmRef(vm)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		m, err := c.load(ctx, op, ref, "snapshot")
		if err != nil {
			return nil, err
		}
		list := snapshotsOf(m.Snapshot)
		if len(list) == 0 {
			return nil, nil
		}
		err = c.frozen(ctx, op, ref.String(), list)
		// A snapshot that was removed since the list was read fails the whole
		// answer.
		if cdp.Is(err, cdp.NotFound) && try < 5 {
			continue
		}
		if err != nil {
			return nil, err
		}
		return list, nil
	}
}

// snapshotsOf are all snapshots of a tree, oldest first. A parent always precedes
// its children, whatever the clock did.
func snapshotsOf(t *types.VirtualMachineSnapshotInfo) []inventory.Snapshot {
	if t == nil {
		return nil
	}
	var out []inventory.Snapshot
	var walk func([]types.VirtualMachineSnapshotTree, time.Time)
	walk = func(list []types.VirtualMachineSnapshotTree, after time.Time) {
		for _, n := range list {
			made := n.CreateTime
			if made.Before(after) {
				made = after
			}
			out = append(out, inventory.Snapshot{Ref: refOf(&n.Snapshot), Name: inventory.Unescape(n.Name), Note: n.Description, Created: made})
			walk(n.ChildSnapshotList, made)
		}
	}
	walk(t.RootSnapshotList, time.Time{})
	slices.SortStableFunc(out, func(a, b inventory.Snapshot) int { return a.Created.Compare(b.Created) })
	return out
}

// frozen fills in the disks of snapshots.
func (c *Client) frozen(ctx context.Context, op, subject string, list []inventory.Snapshot) error {
	var refs []types.ManagedObjectReference
	for _, s := range list {
		r, err := snapshotRef(s.Ref)
		if err != nil {
			return err
		}
		refs = append(refs, r)
	}
	var got []mo.VirtualMachineSnapshot
	err := c.do(ctx, op, subject, func(ctx context.Context, v *vim25.Client) error {
		got = nil
		return property.DefaultCollector(v).Retrieve(ctx, refs, []string{"config.hardware.device"}, &got)
	})
	if err != nil {
		return err
	}
	for _, g := range got {
		for i := range list {
			if list[i].Ref == refOf(&g.Self) {
				list[i].Disks = frozenDisks(g)
				c.taken.set(g.Self, list[i].Disks)
			}
		}
	}
	return nil
}

// takenSnapshots are the disks of snapshots that were read, for those who ask for
// changes: of a snapshot they stay what they are, but for the paths of their files.
type takenSnapshots struct {
	mu sync.Mutex
	by map[types.ManagedObjectReference][]inventory.Disk
}

// mostTaken bounds how many are kept.
const mostTaken = 1024

func (t *takenSnapshots) set(at types.ManagedObjectReference, disks []inventory.Disk) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil || len(t.by) >= mostTaken {
		t.by = map[types.ManagedObjectReference][]inventory.Disk{}
	}
	t.by[at] = disks
}

func (t *takenSnapshots) get(at types.ManagedObjectReference) ([]inventory.Disk, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	disks, ok := t.by[at]
	return disks, ok
}

// frozenDisks are a snapshot's disks. An independent disk is not frozen; its mode
// says so.
func frozenDisks(s mo.VirtualMachineSnapshot) []inventory.Disk {
	var out []inventory.Disk
	for _, d := range disksOf(s.Config.Hardware.Device) {
		out = append(out, diskOf(d))
	}
	return out
}

// RemoveSnapshot merges a snapshot into its successor. It is no error if it does
// not exist. It may take hours; if ctx ends, the vCenter continues.
func (c *Client) RemoveSnapshot(ctx context.Context, vm, snapshot inventory.Ref) error {
	const op = "remove a snapshot"
	ref, err := snapshotRef(snapshot)
	if err != nil {
		return err
	}
	_, err = c.task(ctx, op, string(vm)+" "+ref.Value, func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		res, err := methods.RemoveSnapshot_Task(ctx, v, &types.RemoveSnapshot_Task{This: ref, Consolidate: types.NewBool(true)})
		if err != nil {
			return nil, err
		}
		return object.NewTask(v, res.Returnval), nil
	})
	if cdp.Is(err, cdp.NotFound) {
		return nil
	}
	return err
}

// Revert reverts the disks of a powered-off VM to the snapshot.
func (c *Client) Revert(ctx context.Context, vm, snapshot inventory.Ref) error {
	const op = "revert to a snapshot"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	at, err := snapshotRef(snapshot)
	if err != nil {
		return err
	}
	if err := c.mustBeOff(ctx, op, ref); err != nil {
		return err
	}
	_, err = c.task(ctx, op, ref.String()+" "+at.Value, func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		res, err := methods.RevertToSnapshot_Task(ctx, v, &types.RevertToSnapshot_Task{This: at, SuppressPowerOn: types.NewBool(true)})
		if err != nil {
			return nil, err
		}
		return object.NewTask(v, res.Returnval), nil
	})
	return err
}

// Consolidate merges delta disks that belong to no snapshot.
func (c *Client) Consolidate(ctx context.Context, vm inventory.Ref) error {
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	_, err = c.task(ctx, "consolidate disks", ref.String(), func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		res, err := methods.ConsolidateVMDisks_Task(ctx, v, &types.ConsolidateVMDisks_Task{This: ref})
		if err != nil {
			return nil, err
		}
		return object.NewTask(v, res.Returnval), nil
	})
	return err
}

func snapshotRef(r inventory.Ref) (types.ManagedObjectReference, error) {
	return morOf(r, "VirtualMachineSnapshot")
}

// mustBeOff is a Conflict for a VM that is not powered off.
func (c *Client) mustBeOff(ctx context.Context, op string, vm types.ManagedObjectReference) error {
	m, err := c.load(ctx, op, vm, "runtime.powerState")
	if err != nil {
		return err
	}
	if p := m.Runtime.PowerState; p != types.VirtualMachinePowerStatePoweredOff {
		return cdp.Errorf(cdp.Conflict, op, vm.String(), "it is %s", powerWord(p)).WithHint("power it off first")
	}
	return nil
}
