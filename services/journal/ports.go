package journal

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/approval"
	"tidemark.dev/pkg/core/block"
	"tidemark.dev/pkg/engine/overlay"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/vault"
)

// Stores opens and drops the stores of groups. Disks of an existing group must
// be the same; with none given the group must exist.
type Stores interface {
	Open(group cdp.GroupID, disks []cdp.Disk) (vault.Store, error)
	// Known are the disks of a group that exists; false if it does not. With an
	// error it exists, and cannot be opened.
	Known(group cdp.GroupID) ([]cdp.Disk, bool, error)
	// Damage is what was found damaged in an open store, nil for nothing.
	Damage(group cdp.GroupID) error
	// Losses is the history of an open group that was durable and was lost, oldest
	// first, as long as history goes back to it.
	Losses(group cdp.GroupID) ([]cdp.Loss, error)
	Drop(group cdp.GroupID) error
	// Full is why the open store of a group waits for room on its disk, nil if it
	// does not.
	Full(group cdp.GroupID) error
}

// Space is the disk of the journals, and a reserve on it that only failovers use.
type Space interface {
	// Free is how many bytes are left for journals.
	Free() (int64, error)
	// Taken is how many bytes the files of the journals take, and everything else.
	Taken() (journals, others int64, err error)
	// Use gives up the reserve if the disk is nearly full without it. Giving it up
	// again does nothing.
	Use()
	// Restore takes the reserve again where above bytes stay free beside it. It is
	// called often.
	Restore(above int64)
}

// Streams opens the frame stream of a group at its source site.
type Streams interface {
	Source(site cdp.Site, group cdp.GroupID) (spool.Source, error)
}

// Replica is the group's images; Close releases them.
type Replica interface {
	vault.Replica
	// Grow makes room for larger disks, and for more of them, whose images are at
	// paths: what is new holds zeros. Nobody uses the images meanwhile. Repeating it
	// does no harm. Transient: an image does not have the size yet.
	Grow(disks []cdp.Disk, paths []string) error
	Close() error
}

// Replicas opens a group's images. With fresh they must be new or empty.
type Replicas interface {
	Open(disks []cdp.Disk, paths []string, fresh bool) (Replica, error)
}

// Capture is what is asked of the capture service at the source. It may
// fail to answer at any time: no recovery depends on it.
type Capture interface {
	// Disks are the group's disks as capture found them.
	Disks(ctx context.Context, site cdp.Site, group cdp.GroupID) ([]cdp.Disk, error)
	// Clock returns when the request was received and answered, in ns since 1970
	// on the source's clock: the two times in the middle of a measurement.
	Clock(ctx context.Context, site cdp.Site) (received, sent int64, err error)
}

// Facts reports what happens, as it happens. Its methods must not block for long;
// a failure to report stops nothing.
type Facts interface {
	PointCreated(ctx context.Context, group cdp.GroupID, p cdp.Point)
	PointChanged(ctx context.Context, group cdp.GroupID, p cdp.Point, what event.PointChange)
	HorizonMoved(ctx context.Context, group cdp.GroupID, b cdp.Bounds, reason string)
	StateChanged(ctx context.Context, group cdp.GroupID, state event.JournalState, reason string)
	Alarm(ctx context.Context, group cdp.GroupID, kind, text string)
	// Stored is called with each stored frame's message, whose headers may carry a
	// trace, and with how long after its arrival it was durable.
	Stored(ctx context.Context, group cdp.GroupID, m spool.Message, took time.Duration)
}

// ServedDisk is a disk that a DiskServer serves under a name.
type ServedDisk struct {
	Group       cdp.GroupID // whose disk it is
	Name        string
	Description string // for people
	Device      block.Device
	ReadOnly    bool
}

// DiskServers serve disks to hypervisors and block tools.
type DiskServers interface {
	// Ready is why Serve would refuse addr whatever the disks are: Invalid.
	Ready(addr string) error
	// Serve serves disks at addr until the server is closed: a host and port, or
	// the absolute path of a unix socket. A socket that nobody listens on is
	// replaced; anything else there is left alone: Conflict.
	Serve(addr string, disks []ServedDisk) (DiskServer, error)
}

// DiskServer serves some disks. Once Close has returned, it uses them no longer;
// closing it again does nothing.
type DiskServer interface {
	// URI is how a client addresses a disk.
	URI(disk string) string
	// Clients names who is connected, one text for each connection.
	Clients() []string
	Close() error
}

// Approvals knows what persons agreed to.
type Approvals interface {
	// Agreed is nil if enough persons agreed to the act, or none has to; else Conflict.
	Agreed(ctx context.Context, a approval.Act) error
}

// Deps are the service's surroundings.
type Deps struct {
	Stores   Stores
	Space    Space
	Streams  Streams
	Replicas Replicas
	Servers  DiskServers
	// OpenScratch opens the files that hold what is written to an export.
	OpenScratch overlay.OpenFile
	Capture     Capture
	// Look says what is at each of some paths; nil: nobody asks.
	Look  func(paths []string, closely bool) []api.DiskFacts
	Facts Facts
	// Approvals: nil, nothing needs an approval.
	Approvals Approvals
	// Memory is shared by all journals of the process. Default: that of 2 GiB.
	Memory *Memory
	Clock  clock.Clock
}
