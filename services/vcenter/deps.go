package vcenter

import (
	"context"
	"encoding/json"
	"io"
	"os"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
)

// Deps are the service's ports.
type Deps struct {
	// VCenter is the connection to the site's vCenter. It is made at first need, and
	// again after the Site's spec changed. NotFound, with a hint, if the site has
	// none.
	VCenter func(ctx context.Context) (VCenter, error)
	// Site is this site as its spec says now.
	Site    func(ctx context.Context) (Site, error)
	Jobs    Jobs
	Groups  Groups
	Sourced SourceSpecs
	Records Records
	Peer    Peer
	Runs    Runs
	Journal Journal
	Capture Capture
	Events  Events
	// Devices finds block devices; nil: those in the Site's directory.
	Devices Devices
	// Prober checks VMs from outside; nil: over the network.
	Prober Prober
	// Files judges paths that requests and jobs name; nil: all may be used.
	Files Files
	// Guests are the logins at guests; nil: there are none.
	Guests Guests
	Clock  clock.Clock // nil: clock.System
	Notify func(error)
}

// Site is this site, as far as its vCenter matters.
type Site struct {
	Name cdp.Site
	// Transporter is the VM that this service runs on, by name, path or UUID.
	Transporter string
	// Devices is the directory of its block devices; empty: /dev/disk/by-id.
	Devices string
	// Instance is the UUID that the vCenter must have; empty: that of the first that
	// answered.
	Instance string
}

// Jobs are the specs of the jobs on VMs whose target is this site.
type Jobs interface {
	Get(ctx context.Context, name string) (spec.VMJob, error) // NotFound
	// Watch calls fn with every job whose target is this site, then with every change
	// (nil for a deleted job), until ctx ends or fn fails.
	Watch(ctx context.Context, fn func(name string, job *spec.VMJob) error) error
}

// SourceSpecs are the specs of jobs, whichever site is their target.
type SourceSpecs interface {
	// Group is one whose source is this site. NotFound only if no site has the group: its
	// snapshots are then removed.
	Group(ctx context.Context, name string) (spec.ReplicationJob, error)
	// VMJob is a job on VMs whose target is a site; NotFound.
	VMJob(ctx context.Context, target cdp.Site, name string) (spec.VMJob, error)
}

// Groups are the specs of the members' own jobs, one for each VM, whose target is
// this site.
type Groups interface {
	Get(ctx context.Context, name string) (spec.ReplicationJob, error) // NotFound
	Put(ctx context.Context, job spec.ReplicationJob) error
	Delete(ctx context.Context, name string) error // no error if there is none
	// List has all jobs whose target is this site, those without a VM included.
	List(ctx context.Context) ([]spec.ReplicationJob, error)
}

// Records are what the service must know after a restart.
type Records interface {
	// Get returns a value and its revision; NotFound.
	Get(ctx context.Context, key string) (json.RawMessage, uint64, error)
	// Put writes a value if revision is the newest, 0 for none, and returns the new
	// one; Conflict.
	Put(ctx context.Context, key string, v json.RawMessage, revision uint64) (uint64, error)
	Delete(ctx context.Context, key string) error // no error if there is none
	// List returns all whose key has the prefix, sorted by key.
	List(ctx context.Context, prefix string) ([]Record, error)
}

// Record is a value with its revision.
type Record struct {
	Key      string
	Value    json.RawMessage
	Revision uint64
}

// Peer asks the vcenter service of the given site, which is a job's source. Transient
// if it does not answer.
type Peer interface {
	Members(ctx context.Context, site cdp.Site, r api.MembersRequest) (api.MembersReply, error)
	Tap(ctx context.Context, site cdp.Site, r api.TapRequest) (api.Progress, error)
	Filters(ctx context.Context, site cdp.Site, r api.FilterRequest) (api.FiltersReply, error)
}

// Runs has the scheduler run or stop a member's own job. Duplicate: it already runs,
// or is stopped.
type Runs interface {
	Run(ctx context.Context, job string) error
	Stop(ctx context.Context, job string) error
}

// Journal asks the journal services of this site.
type Journal interface {
	// Free is how many bytes are free for journals; below 0 if unknown.
	Free(ctx context.Context) (int64, error)
	// Holds reports whether the journal has a group's images open.
	Holds(ctx context.Context, group cdp.GroupID) (bool, error)
	// Heard reports whether the journal service of a transporter, by name, answers,
	// and the groups whose journals it keeps. Transient: none answers, so it is not
	// known whether it keeps any.
	Heard(ctx context.Context, transporter string) (answers bool, groups []string, err error)
}

// Capture asks the capture service of the given site, which is a job's source.
type Capture interface {
	// Status is the state of a group; NotFound before capture has opened it.
	Status(ctx context.Context, site cdp.Site, group cdp.GroupID) (api.CaptureGroup, error)
}

// Events publishes events. Emit returns when the event is stored.
type Events interface {
	Emit(ctx context.Context, p event.Payload) error
}

// Devices are the transporter's block devices, by disk UUID.
type Devices interface {
	// Path waits for the device of an attached disk; Transient if it does not appear.
	Path(ctx context.Context, uuid string) (string, error)
	// Grown waits until the device of an attached disk that was extended has size
	// bytes; Transient if it does not.
	Grown(ctx context.Context, uuid string, size int64) error
	// Release makes the operating system release the device before its disk is
	// detached, and waits for it. It is no error if there is no device.
	Release(ctx context.Context, uuid string) error
}

// Files says which files of this machine may be used, as its local configuration has
// it. Both give the path to use instead, without symbolic links. Invalid: it must not
// be used, or is not fit. NotFound.
type Files interface {
	// OVA is a file to deploy a VM from: its path without symbolic links, and the file,
	// which the caller closes.
	OVA(path string) (string, io.ReadCloser, error)
	// Script is a program to run.
	Script(path string) (string, error)
}

// Guests are the logins at guests that this machine has, by name. No message and no spec
// has one.
type Guests interface {
	// Login is Invalid if there is none of the name, or it may not be used.
	Login(name string) (user, password string, err error)
}

type noGuests struct{}

func (noGuests) Login(name string) (user, password string, err error) {
	return "", "", cdp.Errorf(cdp.Invalid, "read guest login", name, "this machine has no logins at guests")
}

type anyFile struct{}

func (anyFile) OVA(path string) (string, io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", nil, cdp.Errorf(cdp.Invalid, "read the OVA", path, "%w", err)
	}
	return path, f, nil
}

func (anyFile) Script(path string) (string, error) { return path, nil }

// Prober checks a VM from outside. An error says what is wrong.
type Prober interface {
	Ping(ctx context.Context, ip string) error
	Port(ctx context.Context, ip string, port int) error
	// Script runs a program with these variables added to its environment, and
	// returns the end of its output.
	Script(ctx context.Context, path string, env []string) (string, error)
}
