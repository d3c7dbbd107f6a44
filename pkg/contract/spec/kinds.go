package spec

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
)

// APIVersion is what every document begins with.
const APIVersion = "tidemark.dev/v1"

// The kinds of documents.
const (
	KindSite = "Site"
	KindJob  = "ReplicationJob"
)

// Defaults of a ReplicationJob, all in one place.
const (
	DefaultRPO     = 5 * time.Second
	DefaultHistory = 24 * time.Hour
	DefaultMode    = cdp.Rollback
	// DefaultMergeEvery is for roll-forward.
	DefaultMergeEvery = time.Hour

	MinRPO = time.Second
	MaxRPO = 60 * time.Minute

	// With capture cbt every recovery point costs the VM a snapshot.
	DefaultCBTRPO = time.Minute
	MinCBTRPO     = 10 * time.Second

	// Of jobs on VMs.
	DefaultSuffix       = "-replica"
	DefaultCheckTimeout = 5 * time.Minute
	MinCheckTimeout     = time.Second
	MaxCheckTimeout     = time.Hour
)

// The kinds of sites, and where the devices of a vsphere site are by default.
const (
	SiteBlock      = "block"
	SiteVSphere    = "vsphere"
	DefaultDevices = "/dev/disk/by-id"
)

// Object is one document, of the kind whose field is not nil.
type Object struct {
	Line int // of the document's first line in its file
	Site *Site
	Job  *ReplicationJob
	// VMJob is a ReplicationJob on VMs.
	VMJob *VMJob
	Plan  *Plan
}

// Kind is the document's kind.
func (o Object) Kind() string {
	switch {
	case o.Site != nil:
		return KindSite
	case o.Plan != nil:
		return KindPlan
	}
	return KindJob
}

// Name is metadata.name.
func (o Object) Name() string {
	switch {
	case o.Site != nil:
		return string(o.Site.Name)
	case o.VMJob != nil:
		return o.VMJob.Name
	case o.Plan != nil:
		return o.Plan.Name
	}
	return o.Job.Name
}

// Site is a site.
type Site struct {
	Name cdp.Site `json:"name"`
	// Kind is block, raw files and block devices, or vsphere.
	Kind string `json:"kind"`
	// NATS is the URL of the site's server; empty for the embedded one.
	NATS string `json:"nats,omitempty"`
	// VSphere belongs to the kind vsphere.
	VSphere *VSphere `json:"vsphere,omitempty"`
}

// VSphere is how a site's vCenter, or its ESXi host, is reached. Its paths are
// on the machine that the site's services run on.
type VSphere struct {
	// URL, Thumbprint and CA are for people: the login file decides, and they
	// must be as it has them, or empty.
	URL        string `json:"url,omitempty"` // https://vc.example.com
	Thumbprint string `json:"thumbprint,omitempty"`
	CA         string `json:"ca,omitempty"`
	// Credentials names the login: the file vcenters/NAME.yaml, mode 0600, in the site's
	// directory, with url, thumbprint or ca, username and password.
	Credentials string `json:"credentials"`
	// Transporter is the VM that the site's services run on, by name, path or
	// UUID; disks are attached to it to be read and written.
	Transporter string `json:"transporter,omitempty"`
	// Devices is the directory where a disk that is attached shows up as
	// wwn-0x and its UUID. Default /dev/disk/by-id.
	Devices string `json:"devices,omitempty"`
	// Taps is host:port where capture listens for I/O filters: the address that the
	// source's hosts reach, and the first port; every VM has a port of its own. Empty: a unix socket, for filters on the same machine.
	Taps string `json:"taps,omitempty"`
	// Instance is the UUID of the vCenter, or of the ESXi host, that the site has:
	// another one is refused. Empty: the first that answered.
	Instance string `json:"instance,omitempty"`
}

// ReplicationJob is a job. Its name is also the name of its group.
type ReplicationJob struct {
	Name string `json:"name"`
	// ID tells the job from an earlier one of its name. The scheduler makes it, and no
	// document has it. Empty: an older version made the job.
	ID     string   `json:"id,omitempty"`
	Source Source   `json:"source"`
	Target Target   `json:"target"`
	RPO    Duration `json:"rpo"`
	// FailIfRPOExceeds is 0 for never, else at least RPO.
	FailIfRPOExceeds Duration `json:"failIfRpoExceeds,omitempty"`
	Journal          Journal  `json:"journal"`
	Failover         Failover `json:"failover,omitzero"`
	// Of is the job on VMs that this one belongs to; the vcenter service derives
	// such jobs, and nobody else changes them.
	Of string `json:"of,omitempty"`
	// Reverses is the failover that this job leads back from; nil: none.
	Reverses *Reverses `json:"reverses,omitempty"`
}

// VMJob is a job on VMs: every VM gets a ReplicationJob of its own.
type VMJob struct {
	inventory.Job
	SourceSite       cdp.Site `json:"sourceSite"`
	TargetSite       cdp.Site `json:"targetSite"`
	RPO              Duration `json:"rpo"`
	FailIfRPOExceeds Duration `json:"failIfRpoExceeds,omitempty"`
	Journal          Journal  `json:"journal"`
	Failover         Failover `json:"failover,omitzero"`
	// Reverses is the failover that this job leads back from; nil: none. Such a job has
	// one VM.
	Reverses *Reverses `json:"reverses,omitempty"`
}

// Group is the job's protection group.
func (j ReplicationJob) Group() cdp.GroupID { return cdp.GroupID(j.Name) }

// Source is where the writes come from.
type Source struct {
	Site    cdp.Site        `json:"site"`
	Capture cdp.CaptureMode `json:"capture"`
	// Disks in the order that numbers them: Disks[i] is cdp.DiskID(i).
	Disks []SourceDisk `json:"disks"`
	// Listen is where the NBD server listens: host:port, or the absolute path
	// of a unix socket. Empty means a socket in the state directory.
	Listen string `json:"listen,omitempty"`
	// VM is the VM whose disks they are, by instance UUID; empty: none.
	VM string `json:"vm,omitempty"`
}

// SourceDisk is one disk.
type SourceDisk struct {
	Name string `json:"name"`
	// Path of the raw file or block device; empty only for a tap.
	Path string `json:"path,omitempty"`
	// Size in bytes, a multiple of 512; 0 means that of Path.
	Size Size `json:"size,omitempty"`
	// Key is the device key of a VM's disk.
	Key int32 `json:"key,omitempty"`
	// Removed is when the VM was first seen without the disk, in milliseconds since 1970;
	// 0: it has it. Recovery points after that are without it.
	Removed int64 `json:"removedMillis,omitempty"`
}

// Target is where the replica is.
type Target struct {
	Site cdp.Site `json:"site"`
	// Disks in the order of the source's, one for each.
	Disks []TargetDisk `json:"disks"`
	// VM is the replica VM's name; empty: there is none.
	VM string `json:"vm,omitempty"`
	// Adopt: the images hold a seed already, which is verified.
	Adopt bool `json:"adopt,omitempty"`
}

// TargetDisk is one replica.
type TargetDisk struct {
	Name string `json:"name"`
	Path string `json:"path"`
}

// Failover says how production failovers of a job end if their requests do not, and what
// its tests may take.
type Failover struct {
	// CommitPolicy is empty for none.
	CommitPolicy recovery.Policy `json:"commitPolicy,omitempty"`
	// CommitWindow is 0 without a policy that ends a failover.
	CommitWindow Duration `json:"commitWindow,omitempty"`
	// Scratch is how many bytes what is written to the disks of a test, or of a writable
	// export, may take; 0: no limit.
	Scratch Size `json:"scratch,omitempty"`
}

// Journal says what is kept.
type Journal struct {
	Mode    cdp.JournalMode `json:"mode"`
	History Duration        `json:"history"`
	// Size in bytes; 0 means no limit.
	Size Size `json:"size,omitempty"`
	// MergeEvery is 0 for rollback.
	MergeEvery Duration `json:"mergeEvery,omitempty"`
	// Lock is 0 for none, else at most History.
	Lock Duration `json:"lock,omitempty"`
}
