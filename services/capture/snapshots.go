package capture

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// Snapshots freezes the disks of a group's VM and lets this machine read them.
// All are idempotent and may take minutes; they return when done or ctx ends.
// One goroutine per group calls them, with at most one pass at a time.
type Snapshots interface {
	// Freeze makes the snapshot of a pass, or finds the one it made. It holds every
	// write that was reported to the group before the call, and every write that
	// the VM had completed then. Kinds: Transient; Conflict, the VM or its disks
	// are not what the job says; NotFound.
	Freeze(ctx context.Context, m Machine, pass string) (Frozen, error)
	// Changed calls fn with the areas of a disk, in bytes and in order, that
	// changed since change id `since` ("*": the allocated areas), as of the pass's
	// snapshot. More than that is allowed. Conflict: since is stale, CBT was reset,
	// and everything has to be compared instead.
	Changed(ctx context.Context, m Machine, pass string, disk cdp.DiskID, since string, fn func(off, n int64)) error
	// Thaw detaches and removes what passes other than keep left of this group
	// ("": all). This side has closed the disks before. Without m.VM the machine of
	// the group is searched for.
	Thaw(ctx context.Context, m Machine, keep string) error
}

// Machine is the VM of a group; Keys are its disks' device keys, by disk. The key of a
// disk that it does not have any more is 0.
type Machine struct {
	Group cdp.GroupID
	VM    string // instance UUID; "" if the job is not known any more
	Keys  []int32
}

// Machines says how the VMs of the site are.
type Machines interface {
	// Power is whether a VM, by its instance UUID, runs.
	Power(ctx context.Context, vm string) (inventory.Power, error)
}

// Frozen is the snapshot of a pass.
type Frozen struct {
	// At is its time on the source's clock, never later than the moment whose
	// content it has: a point of that time holds every write completed by then.
	// Zero: the clock when Freeze was called.
	At    time.Time
	Disks []FrozenDisk // by ID; of one whose key is 0, the zero value
}

// FrozenDisk is one disk as of the snapshot.
type FrozenDisk struct {
	// Path is opened with Deps.Disk, read only.
	Path string
	// ChangeID is what Changed takes later to find what changed since; "" when
	// the disk's changes are not tracked.
	ChangeID string
}

// Sums are the SHA-256 sums of each block bytes (the last may be shorter) of
// n bytes from off, of what the journal at the target holds at its head.
type Sums func(ctx context.Context, target cdp.Site, group cdp.GroupID, disk cdp.DiskID, off, n int64, block int) ([][32]byte, error)

// Alarms is what an Events may be as well, to hear of what needs somebody's
// attention. The rules of Events hold.
type Alarms interface {
	Alarm(group cdp.GroupID, kind AlarmKind, text string)
}

// AlarmKind says what an alarm is about.
type AlarmKind = string

const (
	// AlarmOverrun: a cycle takes longer than the job's cadence. It is raised once
	// per cycle, while the cycle runs.
	AlarmOverrun AlarmKind = "overrun"
	// AlarmReset: the list of changes was reset; everything is compared.
	AlarmReset AlarmKind = "cbt-reset"
	// AlarmLeft: what a pass made could not be removed. It is tried again.
	AlarmLeft AlarmKind = "snapshot-left"
	// AlarmFreeze: no snapshot could be made or read. It is tried again.
	AlarmFreeze AlarmKind = "freeze-failed"
	// AlarmWentBack: the journal has less than it had reported as durable.
	AlarmWentBack AlarmKind = "journal-went-back"
	// AlarmMeddled: somebody else wrote, or replaced, a disk that is captured here.
	AlarmMeddled AlarmKind = "disk-meddled"
)

type alarm struct {
	kind AlarmKind
	text string
}
