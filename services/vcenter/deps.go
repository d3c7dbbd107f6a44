package vcenter

import (
	"context"
	"encoding/json"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
)

// Deps are the service's surroundings.
type Deps struct {
	// VCenter gives the connection to the site's vCenter, made at first need and
	// again when the Site's spec changed. NotFound, with a hint, when the site
	// has none.
	VCenter func(ctx context.Context) (VCenter, error)
	// Site is what the Site's spec says now.
	Site    func(ctx context.Context) (Site, error)
	Jobs    Jobs
	Groups  Groups
	Records Records
	Peer    Peer
	Runs    Runs
	Journal Journal
	Capture Capture
	Events  Events
	// Devices finds block devices; nil: those in the Site's directory.
	Devices Devices
	// Prober looks at VMs from outside; nil: over the network.
	Prober Prober
	Clock  Clock
	Notify func(error)
}

// Site is this site, as far as its vCenter matters.
type Site struct {
	Name cdp.Site
	// Transporter is the VM that this service runs on, by name, path or UUID.
	Transporter string
	// Devices is where its disks show up; empty: /dev/disk/by-id.
	Devices string
	// Instance is the UUID that the vCenter is to have; empty: that of the first
	// that answered.
	Instance string
}

// Jobs are jobs on VMs. At the source Get finds those that have it as their
// source.
type Jobs interface {
	Get(ctx context.Context, name string) (spec.VMJob, error) // NotFound
	// Watch calls fn with every job whose target is this site, then with every
	// change, nil for one that was deleted, until ctx ends or fn fails.
	Watch(ctx context.Context, fn func(name string, job *spec.VMJob) error) error
}

// Groups are the jobs that a job on VMs comes to, one for each VM. At the
// source Get finds those that have it as their source.
type Groups interface {
	Get(ctx context.Context, name string) (spec.ReplicationJob, error) // NotFound
	Put(ctx context.Context, job spec.ReplicationJob) error
	Delete(ctx context.Context, name string) error // no error if there is none
	// List has all jobs at this target, also those on no VM.
	List(ctx context.Context) ([]spec.ReplicationJob, error)
}

// Records are what the service must still know after a restart.
type Records interface {
	// Get gives a value and its revision; NotFound.
	Get(ctx context.Context, key string) (json.RawMessage, uint64, error)
	// Put writes it if the revision is still the newest, 0 for none, and gives
	// the new one; Conflict.
	Put(ctx context.Context, key string, v json.RawMessage, revision uint64) (uint64, error)
	Delete(ctx context.Context, key string) error // no error if there is none
	// List gives all whose key begins with a prefix, by key.
	List(ctx context.Context, prefix string) ([]Record, error)
}

// Record is a value with its revision.
type Record struct {
	Key      string
	Value    json.RawMessage
	Revision uint64
}

// Peer asks the vcenter service of another site. Transient when it does not
// answer.
type Peer interface {
	Members(ctx context.Context, site cdp.Site, r api.MembersRequest) (api.MembersReply, error)
	Tap(ctx context.Context, site cdp.Site, r api.TapRequest) (api.Progress, error)
	Filters(ctx context.Context, site cdp.Site, r api.FilterRequest) (api.FiltersReply, error)
}

// Runs starts and stops a VM's own job. One that runs or is stopped already is
// a Duplicate, which is no trouble.
type Runs interface {
	Run(ctx context.Context, job string) error
	Stop(ctx context.Context, job string) error
}

// Journal is asked of the journal services of this site.
type Journal interface {
	// Free is how many bytes are free where journals stand; below 0 when it
	// cannot be told.
	Free(ctx context.Context) (int64, error)
	// Holds says whether a group's images are in the journal's hands.
	Holds(ctx context.Context, group cdp.GroupID) (bool, error)
	// Heard says whether the journal service of a transporter, by name, was heard,
	// and the groups whose journals it keeps. Transient: none was, so whether it
	// keeps any is not known.
	Heard(ctx context.Context, transporter string) (answers bool, groups []string, err error)
}

// Capture is asked of the capture service at a job's source.
type Capture interface {
	// Status is how a group stands; NotFound before it has opened the group.
	Status(ctx context.Context, site cdp.Site, group cdp.GroupID) (api.CaptureGroup, error)
}

// Events takes facts; it returns when they are kept.
type Events interface {
	Emit(ctx context.Context, p event.Payload) error
}

// Devices are the transporter's block devices, by disk UUID.
type Devices interface {
	// Path waits until the device of an attached disk is there; Transient when
	// it does not come.
	Path(ctx context.Context, uuid string) (string, error)
	// Release makes the system forget the device before its disk is detached,
	// and waits until it has. None is no error.
	Release(ctx context.Context, uuid string) error
}

// Prober looks at a VM from outside. An error is what it found.
type Prober interface {
	Ping(ctx context.Context, ip string) error
	Port(ctx context.Context, ip string, port int) error
	// Script runs a program with these variables added to its environment, and
	// gives the end of what it wrote.
	Script(ctx context.Context, path string, env []string) (string, error)
}

// Clock is the site's time.
type Clock interface {
	Now() time.Time
	After(d time.Duration) <-chan time.Time
}
