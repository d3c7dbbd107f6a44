package vcenter

import (
	"context"

	"tidemark.dev/pkg/contract/inventory"
)

// VCenter is the site's vCenter or ESXi host. Long calls wait for their task
// and end with ctx. All calls are safe side by side. Kinds: Transient when it
// cannot be reached or says so, NotFound for a reference that stands for
// nothing, Conflict for a state that forbids it (a lock, a power state, a
// disabled method), Full for space, Invalid for what it can never do. A missing
// privilege is Conflict with a hint that names it.
type VCenter interface {
	Inventories
	Snapshots
	Machines
	Filters
	Appliances
}

// Inventories reads.
type Inventories interface {
	// About tells which vCenter it is, as it was when the connection was made.
	About(ctx context.Context) (inventory.About, error)
	Inventory(ctx context.Context) (inventory.Inventory, error)
	// VM is one VM by its instance UUID; NotFound.
	VM(ctx context.Context, uuid string) (inventory.VM, error)
	// Tags are the names of a category's tags, in order; NotFound.
	Tags(ctx context.Context, category string) ([]string, error)
	// Watch calls changed after something of a VM, host or datastore may have
	// changed, not more often than every second, and once at the beginning, until
	// ctx ends or the vCenter is lost.
	Watch(ctx context.Context, changed func()) error
	// Lacks are the privileges of these that the user does not have.
	Lacks(ctx context.Context, needs []inventory.Privilege) ([]inventory.Missing, error)
	// Clocks measures every host; one that cannot be has an Error.
	Clocks(ctx context.Context) ([]inventory.Clock, error)
}

// Snapshots of a VM, and what changed between them.
type Snapshots interface {
	// Snapshot makes one, without memory; quiesce asks the guest's tools. Its
	// disks tell file and change id.
	Snapshot(ctx context.Context, vm inventory.Ref, name, note string, quiesce bool) (inventory.Snapshot, error)
	// Snapshots are the VM's, oldest first, with their disks.
	Snapshots(ctx context.Context, vm inventory.Ref) ([]inventory.Snapshot, error)
	// RemoveSnapshot consolidates it; one that is gone is no error.
	RemoveSnapshot(ctx context.Context, vm, snapshot inventory.Ref) error
	// Revert brings the disks of a VM that is off to the snapshot.
	Revert(ctx context.Context, vm, snapshot inventory.Ref) error
	Consolidate(ctx context.Context, vm inventory.Ref) error
	// Track turns changed-block tracking on; it counts from the next snapshot.
	Track(ctx context.Context, vm inventory.Ref) error
	// Changed are areas of a disk that changed between a change id and a
	// snapshot, from an offset on; next is where to ask on, 0 at the end.
	// since "*": the allocated areas. Conflict: the change id is stale.
	Changed(ctx context.Context, vm, snapshot inventory.Ref, disk int32, since string, from int64) (areas []inventory.Area, next int64, err error)
}

// Machines makes and changes VMs and disks. All but MakeVM and MakeDisk are
// idempotent: what is done already is no error.
type Machines interface {
	// MakeVM makes a VM without disks; Conflict when the name is taken.
	MakeVM(ctx context.Context, m inventory.Make) (inventory.Ref, error)
	// Reshape changes CPU, memory, NICs and settings of a VM that is off.
	Reshape(ctx context.Context, vm inventory.Ref, h inventory.Hardware, networks map[int32]inventory.Ref) error
	// Destroy unregisters a VM and deletes its home; Conflict if a disk is
	// attached, for it would be deleted too, unless withDisks.
	Destroy(ctx context.Context, vm inventory.Ref, withDisks bool) error
	// MakeDisk makes a thin disk; Conflict when the file exists.
	MakeDisk(ctx context.Context, dc inventory.Ref, file string, size int64) error
	// DeleteDisk deletes a disk that no VM uses.
	DeleteDisk(ctx context.Context, dc inventory.Ref, file string) error
	// DiskSize is a disk file's capacity in bytes; NotFound.
	DiskSize(ctx context.Context, dc inventory.Ref, file string) (int64, error)
	// Plug attaches disks and gives their UUIDs, in order; a disk that is
	// attached already only tells its UUID.
	Plug(ctx context.Context, vm inventory.Ref, disks []inventory.Plug) ([]string, error)
	// Unplug detaches disks, by file, and keeps the files.
	Unplug(ctx context.Context, vm inventory.Ref, files []string) error
	PowerOn(ctx context.Context, vm inventory.Ref) error
	// PowerOff turns it off, hard.
	PowerOff(ctx context.Context, vm inventory.Ref) error
	// Block forbids power-on at the vCenter for everybody; Unblock allows it.
	Block(ctx context.Context, vm inventory.Ref, why string) error
	Unblock(ctx context.Context, vm inventory.Ref) error
	// Label sets name, annotation and settings; empty ones stay.
	Label(ctx context.Context, vm inventory.Ref, name, note string, extra map[string]string) error
	// Connect puts NICs, by device key, on networks.
	Connect(ctx context.Context, vm inventory.Ref, networks map[int32]inventory.Ref) error
	// Customize tells the guest its addresses at its next start.
	Customize(ctx context.Context, vm inventory.Ref, id inventory.Identity) error
}

// Filters is the life of I/O filters.
type Filters interface {
	// Filters are those installed at a cluster, with each host's state.
	Filters(ctx context.Context, cluster inventory.Ref) ([]inventory.Filter, error)
	InstallFilter(ctx context.Context, cluster inventory.Ref, bundleURL string) error
	UpgradeFilter(ctx context.Context, cluster inventory.Ref, id, bundleURL string) error
	// UninstallFilter; Conflict while disks use it.
	UninstallFilter(ctx context.Context, cluster inventory.Ref, id string) error
	// ResolveFilter asks the vCenter to put right what failed at a cluster.
	ResolveFilter(ctx context.Context, cluster inventory.Ref, id string) error
	// AttachFilter lets the filter see the disks, by device key, with what it is
	// told for each; DetachFilter ends that.
	AttachFilter(ctx context.Context, vm inventory.Ref, filter, policy string, disks map[int32]map[string]string) error
	DetachFilter(ctx context.Context, vm inventory.Ref, filter string, disks []int32) error
}

// Appliances makes a VM of an OVA.
type Appliances interface {
	// Import uploads it; progress is called with 0 to 100. Conflict when the
	// name is taken.
	Import(ctx context.Context, i inventory.Import, progress func(percent int)) (inventory.Ref, error)
}
