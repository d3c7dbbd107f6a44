package vcenter

import (
	"context"
	"time"

	"tidemark.dev/pkg/contract/inventory"
)

// VCenter is one connection to a vCenter or ESXi host, with all of its ports.
// Nothing uses it whole: each type of this package takes the ports that it needs.
//
// Long calls wait for their task and end with ctx. All calls may be made
// concurrently. Error kinds: Transient if the vCenter cannot be reached or says
// so, NotFound for a reference to nothing, Conflict for a state that forbids the
// call (a lock, a power state, a disabled method), Full for space, Invalid for what
// can never succeed. A missing privilege is a Conflict whose hint names it.
type VCenter interface {
	Reads
	Changes
}

// Reads are the ports that change nothing at the vCenter.
type Reads interface {
	Inventories
	Speed
	VMReader
	TagReader
	SiteAudit
	SnapshotReader
	DiskReader
	AutoStartReader
	HAReader
	FilterReader
}

// Changes are the ports that change something. They are idempotent unless they say
// otherwise: what is already done is no error.
type Changes interface {
	SnapshotMaker
	SnapshotReverter
	ChangeTracker
	VMMaker
	VMEditor
	DiskFiles
	DiskSlots
	Power
	PowerBlock
	AutoStarter
	HARestarter
	GuestShutdown
	GuestNetworks
	GuestRunner
	FilterLife
	FilterTaps
	Appliances
}

// Inventories reads the whole vCenter.
type Inventories interface {
	// About is the vCenter's identity, as it was when the connection was made.
	About(ctx context.Context) (inventory.About, error)
	Inventory(ctx context.Context) (inventory.Inventory, error)
	// Watch calls changed once at first, and whenever a VM, host or datastore may
	// have changed, at most once a second, until ctx ends or the vCenter is lost.
	Watch(ctx context.Context, changed func()) error
}

// Speed measures the vCenter.
type Speed interface {
	// CallTime is how long it takes to answer a call, as measured lately; 0: not known.
	CallTime(ctx context.Context) time.Duration
}

// VMReader reads one VM.
type VMReader interface {
	// VM finds a VM by its instance UUID; NotFound.
	VM(ctx context.Context, uuid string) (inventory.VM, error)
	// Machines reads VMs by instance UUID at once, in order, with the disks of their
	// snapshots, and without paths, tags and names of networks. NotFound; Conflict: the
	// vCenter cannot reach one.
	Machines(ctx context.Context, uuids ...string) ([]inventory.VM, error)
}

// TagReader reads tags.
type TagReader interface {
	// Tags are the names of a category's tags, sorted; NotFound.
	Tags(ctx context.Context, category string) ([]string, error)
}

// SiteAudit measures whether a site is set up well.
type SiteAudit interface {
	// Lacks are those of the privileges that the user does not have.
	Lacks(ctx context.Context, needs []inventory.Privilege) ([]inventory.Missing, error)
	// Clocks measures every host. One that cannot be measured has an Error.
	Clocks(ctx context.Context) ([]inventory.Clock, error)
}

// SnapshotReader reads a VM's snapshots and what changed between them.
type SnapshotReader interface {
	// Snapshots are the VM's, oldest first, with their disks.
	Snapshots(ctx context.Context, vm inventory.Ref) ([]inventory.Snapshot, error)
	// Changed are areas of a disk that changed between a change id and a snapshot,
	// from an offset on. next is the offset of the next question, 0 at the end.
	// since "*" asks for the allocated areas. Conflict: the change id is stale.
	Changed(ctx context.Context, vm, snapshot inventory.Ref, disk int32, since string, from int64) (areas []inventory.Area, next int64, err error)
}

// DiskReader reads disk files.
type DiskReader interface {
	// DiskSize is a disk file's capacity in bytes; NotFound.
	DiskSize(ctx context.Context, dc inventory.Ref, file string) (int64, error)
	// DiskUUID is a disk file's UUID, whether a VM uses it or not; NotFound.
	DiskUUID(ctx context.Context, dc inventory.Ref, file string) (string, error)
}

// FilterReader reads I/O filters.
type FilterReader interface {
	// Filters are those on a cluster, with the state of each host.
	Filters(ctx context.Context, cluster inventory.Ref) ([]inventory.Filter, error)
}

// SnapshotMaker makes and removes snapshots.
type SnapshotMaker interface {
	// Snapshot makes one, without memory; quiesce asks VMware Tools to quiesce the
	// guest. The result's disks have their file and change id. Not idempotent.
	Snapshot(ctx context.Context, vm inventory.Ref, name, note string, quiesce bool) (inventory.Snapshot, error)
	// RemoveSnapshot consolidates it. One that does not exist is no error.
	RemoveSnapshot(ctx context.Context, vm, snapshot inventory.Ref) error
}

// SnapshotReverter reverts to snapshots.
type SnapshotReverter interface {
	// Revert reverts the disks of a powered-off VM to the snapshot.
	Revert(ctx context.Context, vm, snapshot inventory.Ref) error
}

// ChangeTracker prepares a VM for incremental passes, and cleans up after them.
type ChangeTracker interface {
	// Track turns changed-block tracking on. It counts from the next snapshot.
	Track(ctx context.Context, vm inventory.Ref) error
	Consolidate(ctx context.Context, vm inventory.Ref) error
}

// VMMaker makes and destroys VMs.
type VMMaker interface {
	// MakeVM makes a VM without disks; Conflict if the name is taken. Not
	// idempotent.
	MakeVM(ctx context.Context, m inventory.Make) (inventory.Ref, error)
	// Destroy unregisters a VM and deletes its home. Unless withDisks, an attached
	// disk, which would be deleted too, is a Conflict.
	Destroy(ctx context.Context, vm inventory.Ref, withDisks bool) error
}

// VMEditor edits VMs.
type VMEditor interface {
	// Reshape changes CPU, memory, NICs and settings of a powered-off VM.
	Reshape(ctx context.Context, vm inventory.Ref, h inventory.Hardware, networks map[int32]inventory.Ref) error
	// Label sets name, annotation and settings. Empty ones stay.
	Label(ctx context.Context, vm inventory.Ref, name, note string, extra map[string]string) error
}

// DiskFiles makes and deletes disk files.
type DiskFiles interface {
	// MakeDisk makes a thin disk of size bytes; Conflict if the file exists.
	MakeDisk(ctx context.Context, dc inventory.Ref, file string, size int64) error
	// DeleteDisk deletes a disk that no VM uses. Conflict: it has another UUID than
	// uuid, so it is another disk; an empty uuid means any.
	DeleteDisk(ctx context.Context, dc inventory.Ref, file, uuid string) error
}

// DiskSlots attaches, extends and detaches disks.
type DiskSlots interface {
	// Plug attaches disks and returns their UUIDs, in order. A disk that is already
	// attached only returns its UUID.
	Plug(ctx context.Context, vm inventory.Ref, disks []inventory.Plug) ([]string, error)
	// Unplug detaches disks by file and keeps the files.
	Unplug(ctx context.Context, vm inventory.Ref, files []string) error
	// Extend makes an attached disk at least size bytes long; NotFound.
	Extend(ctx context.Context, vm inventory.Ref, file string, size int64) error
}

// Power turns VMs on and off.
type Power interface {
	PowerOn(ctx context.Context, vm inventory.Ref) error
	// PowerOff turns it off hard.
	PowerOff(ctx context.Context, vm inventory.Ref) error
}

// PowerBlock forbids powering on.
type PowerBlock interface {
	// Block forbids power-on at the vCenter for everybody; Unblock allows it again.
	Block(ctx context.Context, vm inventory.Ref, why string) error
	Unblock(ctx context.Context, vm inventory.Ref) error
}

// AutoStartReader knows which VMs hosts start by themselves.
type AutoStartReader interface {
	// AutoStart is whether the VM's host starts it; zero if the host does not know it.
	AutoStart(ctx context.Context, vm inventory.Ref) (inventory.AutoStart, error)
}

// AutoStarter says which VMs hosts start by themselves.
type AutoStarter interface {
	// SetAutoStart says so to the host that the VM is on now. NotFound: it starts no VMs.
	SetAutoStart(ctx context.Context, vm inventory.Ref, x inventory.AutoStart) error
}

// HAReader knows which VMs vSphere HA restarts.
type HAReader interface {
	// HARestart is whether HA of the VM's cluster restarts it; zero in no cluster.
	HARestart(ctx context.Context, vm inventory.Ref) (inventory.HARestart, error)
}

// HARestarter says which VMs vSphere HA restarts.
type HARestarter interface {
	// SetHARestart gives the VM a restart priority of its own in the cluster that it is in
	// now, or takes that away. NotFound: it is in none.
	SetHARestart(ctx context.Context, vm inventory.Ref, x inventory.HARestart) error
}

// GuestShutdown ends guests in order.
type GuestShutdown interface {
	// ShutdownGuest asks the guest to shut down, and does not wait for it. Conflict:
	// VMware Tools do not run. A VM that is off is no error.
	ShutdownGuest(ctx context.Context, vm inventory.Ref) error
}

// GuestNetworks connects a VM and configures its guest's network.
type GuestNetworks interface {
	// Connect puts NICs, by device key, on networks.
	Connect(ctx context.Context, vm inventory.Ref, networks map[int32]inventory.Ref) error
	// Customize configures the guest's network at its next start.
	Customize(ctx context.Context, vm inventory.Ref, id inventory.Identity) error
}

// GuestRunner runs scripts in guests, by VMware Tools.
type GuestRunner interface {
	// RunInGuest waits for the script's end. One of an ID that the guest ran before is
	// not run again: its result is returned. When ctx ends, the script goes on. Transient:
	// VMware Tools do not answer yet. Invalid: a wrong login. Conflict: the guest does not
	// allow it, or the script was begun earlier and ended without a result.
	RunInGuest(ctx context.Context, vm inventory.Ref, s inventory.GuestScript) (inventory.GuestResult, error)
	// ForgetGuestRun removes what the script left in the guest, its result, too.
	ForgetGuestRun(ctx context.Context, vm inventory.Ref, s inventory.GuestScript) error
}

// FilterLife installs and removes I/O filters.
type FilterLife interface {
	InstallFilter(ctx context.Context, cluster inventory.Ref, bundleURL string) error
	UpgradeFilter(ctx context.Context, cluster inventory.Ref, id, bundleURL string) error
	// UninstallFilter is a Conflict while disks use the filter.
	UninstallFilter(ctx context.Context, cluster inventory.Ref, id string) error
	// ResolveFilter asks the vCenter to repair failed installations on a cluster.
	ResolveFilter(ctx context.Context, cluster inventory.Ref, id string) error
}

// FilterTaps attaches I/O filters to disks.
type FilterTaps interface {
	// AttachFilter attaches the filter to disks, by device key, each with its
	// parameters. DetachFilter detaches it.
	AttachFilter(ctx context.Context, vm inventory.Ref, filter, policy string, disks map[int32]map[string]string) error
	DetachFilter(ctx context.Context, vm inventory.Ref, filter string, disks []int32) error
}

// Appliances deploys OVAs.
type Appliances interface {
	// Import uploads an OVA; progress is called with 0 to 100. Conflict if the name
	// is taken. Not idempotent.
	Import(ctx context.Context, i inventory.Import, progress func(percent int)) (inventory.Ref, error)
}
