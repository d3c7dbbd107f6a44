package api

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// VCenter endpoints, served by the vcenter service of each site. Those that may
// take long answer with Done false and are asked again until it is true.
const (
	VCenterInventory = "inventory" // InventoryRequest -> inventory.Inventory: without VMs
	VCenterVMs       = "vms"       // VMsRequest -> VMsReply: a page of VMs
	VCenterCheck     = "check"     // CheckRequest -> SiteCheck
	VCenterClocks    = "clocks"    // Empty -> ClocksReply
	VCenterMembers   = "members"   // MembersRequest -> MembersReply: which VMs a job means, as they are now

	// The specs of sites, of which the vcenter service is the only writer.
	SiteApply  = "site-apply"  // ApplyRequest -> ApplyReply
	SiteDelete = "site-delete" // SiteRequest -> Empty

	// Of the target's, for jobs on VMs.
	VMJobCheck  = "job-check"  // VMJobCheckRequest -> JobCheckReply: all that refuses it; changes nothing
	VMJobRun    = "job-run"    // VMJobName -> Empty: the job is to run
	VMJobStop   = "job-stop"   // VMJobName -> Empty
	VMJobDelete = "job-delete" // VMJobDeleteRequest -> Progress
	VMJobStatus = "job-status" // VMJobName ("" all) -> VMJobsReply

	// Of the source's, for capture.
	VMFreeze  = "freeze"  // FreezeRequest -> FreezeReply
	VMChanged = "changed" // ChangedRequest -> ChangedReply
	VMThaw    = "thaw"    // ThawRequest -> Progress
	VMPower   = "power"   // VMPowerRequest -> VMPowerReply: as it is at this moment
	VMTap     = "tap"     // TapRequest -> Progress: the I/O filter sees the VM's disks, or no more

	FilterStatus = "filter-status" // FilterRequest -> FiltersReply
	FilterChange = "filter-change" // FilterRequest -> Progress: install, upgrade, uninstall, resolve

	TransporterList   = "transporter-list"   // Empty -> TransportersReply
	TransporterDeploy = "transporter-deploy" // DeployRequest -> Progress
	TransporterRemove = "transporter-remove" // RemoveRequest -> Progress
)

// Progress of what takes long. Asked again with the same request it goes on,
// also after a restart of the service.
type Progress struct {
	Done  bool   `json:"done"`
	Text  string `json:"text,omitempty"`
	Moved int64  `json:"moved,omitempty"` // of Total
	Total int64  `json:"total,omitempty"`
}

// InventoryRequest asks for what stands at a site.
type InventoryRequest struct {
	// Fresh asks the vCenter even if an answer is at hand.
	Fresh bool `json:"fresh,omitempty"`
}

// VMsPage is how many VMs one answer holds at most: it must fit into a message.
const VMsPage = 100

// VMsRequest asks for the VMs behind Path After, by path.
type VMsRequest struct {
	After string `json:"after,omitempty"`
	// Fresh asks the vCenter even if an answer is at hand: of the first page.
	Fresh bool `json:"fresh,omitempty"`
}

// VMsReply is a page of them.
type VMsReply struct {
	VMs  []inventory.VM `json:"vms"`
	More bool           `json:"more,omitempty"`
}

// CheckRequest asks whether a site can do what it is used for.
type CheckRequest struct {
	// For are the roles that it has; none: all there are. What both sides need is
	// always asked for, and a transporter's where one was deployed.
	For []inventory.Role `json:"for,omitempty"`
}

// SiteCheck says whether a site can do what it must.
type SiteCheck struct {
	About inventory.About `json:"about"`
	// Lacks are missing privileges; the table is vmpolicy.Privileges. Later are those
	// that only other roles need.
	Lacks []inventory.Missing `json:"lacks"`
	Later []inventory.Missing `json:"later,omitempty"`
	// Transporter is the VM that this site's tidemark runs on; nil and a reason
	// when it was not found.
	Transporter *inventory.Appliance `json:"transporter,omitempty"`
	Problems    []string             `json:"problems,omitempty"`
}

// ClocksReply has the hosts' clocks against the service's.
type ClocksReply struct {
	At    time.Time         `json:"at"`
	Hosts []inventory.Clock `json:"hosts"`
}

// MembersRequest asks which VMs selectors mean: those behind the instance UUID
// After, by UUID, for that stays when a VM is moved or renamed between two pages.
type MembersRequest struct {
	VMs   []inventory.Selector `json:"vms"`
	After string               `json:"after,omitempty"`
}

// MembersReply has a page of them as they are now; Problems, on the first page,
// are selectors that mean nothing or too much.
type MembersReply struct {
	About    inventory.About     `json:"about"`
	VMs      []inventory.VM      `json:"vms"`
	Hosts    []inventory.Host    `json:"hosts"` // of the VMs
	Problems []inventory.Problem `json:"problems,omitempty"`
	More     bool                `json:"more,omitempty"`
}

// VMJobName names a job on VMs.
type VMJobName struct {
	Job string `json:"job"`
}

// VMJobCheckRequest asks about a job on VMs that need not have been applied.
type VMJobCheckRequest struct {
	Job spec.VMJob `json:"job"`
}

// JobCheckReply answers VMJobCheck.
type JobCheckReply struct {
	// Problems refuse the job; Warnings do not: they may pass by themselves, or
	// the job stands in spite of them.
	Problems []inventory.Problem `json:"problems"`
	Warnings []inventory.Problem `json:"warnings,omitempty"`
	// VMs are those that it would protect. Joins are those of them that it does
	// not protect now, Leaves those that it protects now and would not then.
	VMs    []string `json:"vms"`
	Joins  []string `json:"joins,omitempty"`
	Leaves []string `json:"leaves,omitempty"`
}

// VMJobDeleteRequest ends a job on VMs; its replicas stay unless Replicas.
type VMJobDeleteRequest struct {
	Job      string `json:"job"`
	Replicas bool   `json:"replicas,omitempty"`
	// Group ends only one VM of the job, which must be gone from it.
	Group cdp.GroupID `json:"group,omitempty"`
}

// VMJobsReply answers VMJobStatus.
type VMJobsReply struct {
	Jobs []VMJobState `json:"jobs"`
}

// VMJobState is how a job on VMs stands.
type VMJobState struct {
	Job     string     `json:"job"`
	Running bool       `json:"running"`
	Trouble string     `json:"trouble,omitempty"` // of the job as a whole
	Members []VMMember `json:"members"`
}

// VMMember is one VM of a job and its replica.
type VMMember struct {
	Group    cdp.GroupID           `json:"group"` // its own job
	VM       string                `json:"vm"`
	Path     string                `json:"path"`
	UUID     string                `json:"uuid"`
	Replica  string                `json:"replica,omitempty"`
	State    inventory.MemberState `json:"state"`
	Trouble  string                `json:"trouble,omitempty"`
	Problems []inventory.Problem   `json:"problems,omitempty"`
	// Power as it was last seen; empty: not yet.
	Power inventory.Power `json:"power,omitempty"`
	// Unseen is why nobody tells its writes though the job runs; empty: they are
	// told, or need not be.
	Unseen string `json:"unseen,omitempty"`
}

// FreezeRequest freezes the disks of a group's VM for a pass.
type FreezeRequest struct {
	Group cdp.GroupID `json:"group"`
	VM    string      `json:"vm"`   // instance UUID
	Keys  []int32     `json:"keys"` // device keys, by disk
	Pass  string      `json:"pass"`
}

// FreezeReply tells where the frozen disks can be read on the transporter.
type FreezeReply struct {
	Progress
	At    time.Time    `json:"at"` // of the snapshot, on the transporter's clock; not after any write that it lacks
	Disks []FrozenDisk `json:"disks"`
}

// FrozenDisk is one of them.
type FrozenDisk struct {
	Path     string `json:"path"`
	ChangeID string `json:"changeId"`
}

// ChangedRequest asks what changed since a change id, "*" for all that is
// allocated.
type ChangedRequest struct {
	Group cdp.GroupID `json:"group"`
	VM    string      `json:"vm"`
	Pass  string      `json:"pass"`
	Key   int32       `json:"key"`
	Since string      `json:"since"`
	From  int64       `json:"from"`
}

// ChangedReply has areas in order; Next is where to ask on, 0 at the end.
type ChangedReply struct {
	Areas []inventory.Area `json:"areas"`
	Next  int64            `json:"next,omitempty"`
}

// ThawRequest detaches and removes what passes other than Keep left; with no VM
// wherever it is.
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

// TapRequest lets the I/O filter see the disks of a VM, or ends that.
type TapRequest struct {
	Group  cdp.GroupID `json:"group"`
	VM     string      `json:"vm"`
	Attach bool        `json:"attach"`
	// Disks by device key: where the filter sends their writes, as an NBD URI.
	Disks map[int32]string `json:"disks,omitempty"`
	// Again: it is detached first, for it is attached and yet tells nothing.
	Again bool `json:"again,omitempty"`
}

// FilterRequest is about the I/O filters of a cluster, by name or path.
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
	// Cannot is why filters cannot be managed here; empty: they can.
	Cannot string `json:"cannot,omitempty"`
}

// DeployRequest makes a transporter of an OVA, whose path is on the machine of
// the service. Do upgrade replaces the one that is there.
type DeployRequest struct {
	Name      string            `json:"name"`
	OVA       string            `json:"ova"`
	Host      string            `json:"host"`
	Datastore string            `json:"datastore"`
	Network   string            `json:"network"`
	Folder    string            `json:"folder,omitempty"`
	Settings  map[string]string `json:"settings,omitempty"` // handed over as guestinfo.tidemark.<key>
	Upgrade   bool              `json:"upgrade,omitempty"`
}

// RemoveRequest removes a transporter; one that holds a journal only with Force.
type RemoveRequest struct {
	Name  string `json:"name"`
	Force bool   `json:"force,omitempty"`
}

// TransportersReply answers TransporterList.
type TransportersReply struct {
	Transporters []inventory.Appliance `json:"transporters"`
}
