package api

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
)

// VCenter endpoints, served by the vcenter service of each site. Those that may
// take long reply with Done false; repeat the request until it is true.
const (
	VCenterInventory = "inventory" // InventoryRequest -> inventory.Inventory: without VMs
	VCenterVMs       = "vms"       // VMsRequest -> VMsReply: a page of VMs
	VCenterCheck     = "check"     // CheckRequest -> SiteCheck
	VCenterClocks    = "clocks"    // Empty -> ClocksReply
	VCenterUp        = "up"        // UpRequest -> UpReply: is a VM or a host up
	VCenterMembers   = "members"   // MembersRequest -> MembersReply: the VMs that selectors match now

	// The specs of sites, of which the vcenter service is the only writer.
	SiteApply  = "site-apply"  // ApplyRequest -> ApplyReply
	SiteDelete = "site-delete" // SiteRequest -> Empty

	// Served at the target, for jobs on VMs.
	VMJobCheck   = "job-check"   // VMJobCheckRequest -> JobCheckReply: everything that stands in its way; changes nothing
	VMJobRun     = "job-run"     // VMJobName -> Empty: start the job
	VMJobStop    = "job-stop"    // VMJobName -> Empty
	VMJobDelete  = "job-delete"  // VMJobDeleteRequest -> Progress
	VMJobReverse = "job-reverse" // VMReverseRequest -> VMReverseReply: the job that leads back from a failover; changes nothing
	VMJobStatus  = "job-status"  // VMJobName ("" all) -> VMJobsReply

	// Served for plans.
	VMSetPower    = "set-power"    // SetPowerRequest -> SetPowerReply: start or stop a VM that is nobody's replica
	VMGuestScript = "guest-script" // GuestScriptRequest -> GuestScriptReply: run a script in a VM's guest, once

	// Served at the source, for capture.
	VMFreeze  = "freeze"  // FreezeRequest -> FreezeReply
	VMChanged = "changed" // ChangedRequest -> ChangedReply
	VMThaw    = "thaw"    // ThawRequest -> Progress
	VMPower   = "power"   // VMPowerRequest -> VMPowerReply: the state at this moment
	VMTap     = "tap"     // TapRequest -> Progress: attach the I/O filter to the VM's disks, or detach it

	VMFence = "fence" // FenceRequest -> Progress: for failovers; power the VM off and forbid power-on, or the reverse

	FilterStatus = "filter-status" // FilterRequest -> FiltersReply
	FilterChange = "filter-change" // FilterRequest -> Progress: install, upgrade, uninstall, resolve

	TransporterList   = "transporter-list"   // Empty -> TransportersReply
	TransporterDeploy = "transporter-deploy" // DeployRequest -> Progress
	TransporterRemove = "transporter-remove" // RemoveRequest -> Progress
)

// Progress of a long task. The same request, repeated, continues it, also after a
// restart of the service.
type Progress struct {
	Done  bool   `json:"done"`
	Text  string `json:"text,omitempty"`
	Moved int64  `json:"moved,omitempty"` // of Total
	Total int64  `json:"total,omitempty"`
}

// InventoryRequest asks for a site's inventory.
type InventoryRequest struct {
	// Fresh bypasses the cache and asks the vCenter.
	Fresh bool `json:"fresh,omitempty"`
}

// VMsPage is the most VMs in one reply, which must fit into a message.
const VMsPage = 100

// VMsRequest asks for the VMs after path After, in the order of paths.
type VMsRequest struct {
	After string `json:"after,omitempty"`
	// Fresh bypasses the cache and asks the vCenter, on the first page.
	Fresh bool `json:"fresh,omitempty"`
}

// VMsReply is a page of them.
type VMsReply struct {
	VMs  []inventory.VM `json:"vms"`
	More bool           `json:"more,omitempty"`
}

// CheckRequest asks whether a site has what its use requires.
type CheckRequest struct {
	// For are the roles to check; none: all. What every role needs is always
	// checked, and what a transporter needs where one was deployed.
	For []inventory.Role `json:"for,omitempty"`
}

// SiteCheck says whether a site has what its use requires.
type SiteCheck struct {
	About inventory.About `json:"about"`
	// Lacks are missing privileges; the table is vmpolicy.Privileges. Later are those
	// that only other roles need.
	Lacks []inventory.Missing `json:"lacks"`
	Later []inventory.Missing `json:"later,omitempty"`
	// Transporter is the VM that this site's Tidemark runs on; nil, with a problem,
	// if it was not found.
	Transporter *inventory.Appliance `json:"transporter,omitempty"`
	Problems    []string             `json:"problems,omitempty"`
}

// UpRequest asks whether a VM or a host is up. One of VM and Host is set.
type UpRequest struct {
	VM   string `json:"vm,omitempty"`   // path, instance UUID or name
	Host string `json:"host,omitempty"` // path or name
	// Tools: a VM is up only if its VMware Tools run, too.
	Tools bool `json:"tools,omitempty"`
}

// UpReply says whether it is up, and in words what it is.
type UpReply struct {
	Up   bool   `json:"up"`   // a VM is on and its host connected; a host is connected
	Text string `json:"text"` // what it is
}

// ClocksReply compares the hosts' clocks with the service's.
type ClocksReply struct {
	At    time.Time         `json:"at,omitzero"`
	Hosts []inventory.Clock `json:"hosts"`
}

// MembersRequest asks which VMs selectors match: those after the instance UUID
// After, in the order of UUIDs, which do not change when a VM is moved or renamed
// between two pages.
type MembersRequest struct {
	VMs   []inventory.Selector `json:"vms"`
	After string               `json:"after,omitempty"`
}

// MembersReply is a page of them. Problems, on the first page, are selectors that
// match nothing or too much, and VMs that the site's transporter cannot read. Twins,
// on the first page, are the disk UUIDs that any of the VMs shares.
type MembersReply struct {
	About    inventory.About     `json:"about"`
	VMs      []inventory.VM      `json:"vms"`
	Hosts    []inventory.Host    `json:"hosts"` // of the VMs
	Problems []inventory.Problem `json:"problems,omitempty"`
	Twins    []inventory.Twin    `json:"twins,omitempty"`
	// Slots, on the first page, are those of the site's transporter that no replica's
	// disk takes; nil: not known.
	Slots *inventory.Slots `json:"slots,omitempty"`
	// CallTime, on the first page, is how long the site's vCenter takes to answer a call,
	// as measured lately; 0: not known.
	CallTime time.Duration `json:"callTime,omitempty"`
	More     bool          `json:"more,omitempty"`
}

// VMJobName names a job on VMs.
type VMJobName struct {
	Job string `json:"job,omitempty"`
}

// VMJobCheckRequest asks about a job on VMs that need not have been applied.
type VMJobCheckRequest struct {
	Job spec.VMJob `json:"job"`
}

// JobCheckReply answers VMJobCheck.
type JobCheckReply struct {
	// Problems make apply refuse the job. Warnings do not: they may pass by
	// themselves, or the job works in spite of them.
	Problems []inventory.Problem `json:"problems"`
	Warnings []inventory.Problem `json:"warnings,omitempty"`
	// VMs are those that the job would protect. Joins are those of them that it
	// does not protect now; Leaves are those that it protects now and would not
	// then.
	VMs    []string `json:"vms"`
	Joins  []string `json:"joins,omitempty"`
	Leaves []string `json:"leaves,omitempty"`
}

// VMJobDeleteRequest ends a job on VMs. Replicas are kept unless Replicas is set.
type VMJobDeleteRequest struct {
	Job      string `json:"job"`
	Replicas bool   `json:"replicas,omitempty"`
	// Group ends the protection of one VM only, which must have left the job.
	Group cdp.GroupID `json:"group,omitempty"`
}

// VMJobsReply answers VMJobStatus.
type VMJobsReply struct {
	Jobs []VMJobState `json:"jobs"`
}

// VMJobState is the state of a job on VMs.
type VMJobState struct {
	Job     string     `json:"job"`
	Running bool       `json:"running"`
	Trouble string     `json:"trouble,omitempty"` // of the job as a whole
	Members []VMMember `json:"members"`
}

// VMMember is one VM of a job and its replica.
type VMMember struct {
	Group    cdp.GroupID           `json:"group"` // its own group
	VM       string                `json:"vm"`
	Path     string                `json:"path"`
	UUID     string                `json:"uuid"`
	Replica  string                `json:"replica,omitempty"`
	State    inventory.MemberState `json:"state"`
	Trouble  string                `json:"trouble,omitempty"`
	Problems []inventory.Problem   `json:"problems,omitempty"`
	// Power as last seen; empty: not seen yet.
	Power inventory.Power `json:"power,omitempty"`
	// Unseen says why its writes are not captured although the job runs; empty:
	// they are, or need not be.
	Unseen string `json:"unseen,omitempty"`
}

// FreezeRequest freezes the disks of a group's VM for a pass.
type FreezeRequest struct {
	Group cdp.GroupID `json:"group"`
	VM    string      `json:"vm"`   // instance UUID
	Keys  []int32     `json:"keys"` // device keys, by disk
	Pass  string      `json:"pass"`
}

// FreezeReply says where the transporter can read the frozen disks.
type FreezeReply struct {
	Progress
	At    time.Time    `json:"at"` // of the snapshot, on the transporter's clock; no later than any write that is not in it
	Disks []FrozenDisk `json:"disks"`
}

// FrozenDisk is one of them.
type FrozenDisk struct {
	Path     string `json:"path"`
	ChangeID string `json:"changeId"`
}

// ChangedRequest asks what changed since a change ID; "*" asks for all allocated
// areas.
type ChangedRequest struct {
	Group cdp.GroupID `json:"group"`
	VM    string      `json:"vm"`
	Pass  string      `json:"pass"`
	Key   int32       `json:"key"`
	Since string      `json:"since"`
	From  int64       `json:"from"`
}

// ChangedReply has areas in order. Next is the offset to continue from, 0 at the
// end.
type ChangedReply struct {
	Areas []inventory.Area `json:"areas"`
	Next  int64            `json:"next,omitempty"`
}

// ThawRequest detaches and removes what passes other than Keep left behind. Without
// a VM all VMs are searched.
type ThawRequest struct {
	Group cdp.GroupID `json:"group"`
	VM    string      `json:"vm"`
	Keep  string      `json:"keep,omitempty"`
}

// VMPowerRequest asks whether a VM is on.
type VMPowerRequest struct {
	VM string `json:"vm"`
}

// VMPowerReply answers VMPower.
type VMPowerReply struct {
	Power inventory.Power `json:"power"`
}

// SetPowerRequest starts or stops a VM that Tidemark did not make. It is refused for a
// replica, a test, a transporter, and a start for a VM that a failover has fenced.
type SetPowerRequest struct {
	VM   string                `json:"vm"` // path, instance UUID or name
	Want inventory.PowerChange `json:"want"`
	// Wait is how long it may take.
	Wait spec.Duration `json:"wait,omitempty"`
	// DryRun says whether it would be done, and changes nothing.
	DryRun bool `json:"dryRun,omitempty"`
}

// SetPowerReply is done when the VM was seen so.
type SetPowerReply struct {
	Progress
	Power inventory.Power `json:"power"`
}

// GuestScriptRequest runs a script in a VM's guest by VMware Tools: PowerShell on Windows,
// POSIX shell elsewhere.
type GuestScriptRequest struct {
	VM string `json:"vm"` // path, instance UUID or name
	// ID says which run this is: a guest runs what has one ID once, however often it is
	// asked for.
	ID string `json:"id"`
	// Login names the login at the guest: a file that only the vcenter service's machine has.
	Login string `json:"login"`
	Text  string `json:"text,omitempty"` // of the script
	// Env is added to its environment, as NAME=value.
	Env []string `json:"env,omitempty"`
	// Forget removes what the script with this ID left in the guest, its result, too: it has
	// ended, and nobody asks for it again. Nothing is run.
	Forget bool `json:"forget,omitempty"`
}

// GuestScriptReply is done when the script has ended.
type GuestScriptReply struct {
	Progress
	Exit   int    `json:"exit"`             // its exit code
	Output string `json:"output,omitempty"` // the end of what it wrote
}

// FenceRequest says what the source VM of a failover must be. The source carries it
// out only for a VM of a job whose target is Target.
type FenceRequest struct {
	Group  cdp.GroupID `json:"group"`
	VM     string      `json:"vm"` // instance UUID
	Target cdp.Site    `json:"target"`
	Run    string      `json:"run"`
	// Turn orders requests: one of an earlier turn is refused.
	Turn     uint64            `json:"turn"`
	Want     recovery.Fence    `json:"want"`
	Shutdown recovery.Shutdown `json:"shutdown,omitempty"` // with Want fenced
	// Wait is how long the guest may take to shut down.
	Wait spec.Duration `json:"wait,omitempty"`
}

// TapRequest attaches the I/O filter to the disks of a VM, or detaches it.
type TapRequest struct {
	Group  cdp.GroupID `json:"group"`
	VM     string      `json:"vm"`
	Attach bool        `json:"attach"`
	// Disks by device key: where the filter sends their writes, as an NBD URI.
	Disks map[int32]string `json:"disks,omitempty"`
	// Again detaches it first, because it is attached and silent.
	Again bool `json:"again,omitempty"`
}

// FilterRequest concerns the I/O filters of a cluster, given by name or path.
type FilterRequest struct {
	Cluster string `json:"cluster"`
	Do      string `json:"do,omitempty"` // install, upgrade, uninstall, resolve
	Filter  string `json:"filter,omitempty"`
	Bundle  string `json:"bundle,omitempty"` // URL
	// ID makes a change idempotent.
	ID string `json:"id,omitempty"`
}

// FiltersReply answers FilterStatus.
type FiltersReply struct {
	Cluster string             `json:"cluster"`
	Filters []inventory.Filter `json:"filters"`
	// Cannot says why filters cannot be managed here; empty: they can.
	Cannot string `json:"cannot,omitempty"`
}

// DeployRequest deploys a transporter from an OVA. Its path is on the machine of
// the service; without one it is Tidemark's own. Upgrade replaces the existing one.
type DeployRequest struct {
	Name      string            `json:"name"`
	OVA       string            `json:"ova,omitempty"`
	Host      string            `json:"host"`
	Datastore string            `json:"datastore"`
	Network   string            `json:"network"`
	Folder    string            `json:"folder,omitempty"`
	Settings  map[string]string `json:"settings,omitempty"` // set as guestinfo.tidemark.<key>
	Upgrade   bool              `json:"upgrade,omitempty"`
}

// RemoveRequest removes a transporter. One that holds a journal is removed only
// with Force.
type RemoveRequest struct {
	Name  string `json:"name"`
	Force bool   `json:"force,omitempty"`
}

// TransportersReply answers TransporterList.
type TransportersReply struct {
	Transporters []inventory.Appliance `json:"transporters"`
}
