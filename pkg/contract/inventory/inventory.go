package inventory

import (
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
)

// Ref is a managed object at one vCenter, as "VirtualMachine:vm-12".
type Ref string

// About is a vCenter or ESXi host.
type About struct {
	Name    string `json:"name"`    // VMware vCenter Server
	Version string `json:"version"` // 8.0.3
	Build   string `json:"build"`
	// UUID is the vCenter's instance UUID, or the ESXi host's; empty if unknown.
	UUID string `json:"uuid,omitempty"`
	// ESX: a single host without a vCenter. It has no clusters, tags, I/O filters
	// or storage policies.
	ESX bool `json:"esx,omitempty"`
}

// Inventory is all that a site's vCenter has. Paths are inventory paths, as
// /DC0/vm/Prod/web01.
type Inventory struct {
	Site        cdp.Site    `json:"site"`
	About       About       `json:"about"`
	Datacenters []Place     `json:"datacenters"`
	Clusters    []Cluster   `json:"clusters"`
	Hosts       []Host      `json:"hosts"`
	Datastores  []Datastore `json:"datastores"`
	Networks    []Network   `json:"networks"`
	Folders     []Place     `json:"folders"` // of VMs
	Pools       []Place     `json:"pools"`   // resource pools
	VMs         []VM        `json:"vms"`
}

// Place identifies an object of the inventory.
type Place struct {
	Ref  Ref    `json:"ref"`
	Name string `json:"name"`
	Path string `json:"path"`
}

// Cluster is a cluster, or the lone host's compute resource.
type Cluster struct {
	Place
	Hosts []Ref `json:"hosts"`
	// ImageManaged: an image (vLCM) manages its hosts' software, so
	// IoFilterManager cannot install I/O filters.
	ImageManaged bool `json:"imageManaged,omitempty"`
	// DRS places its VMs on hosts. Without it, who makes a VM has to name one.
	DRS bool `json:"drs,omitempty"`
	// Pool is its root resource pool.
	Pool Ref `json:"pool"`
}

// Host is an ESXi host.
type Host struct {
	Place
	Cluster     Ref    `json:"cluster"`
	State       string `json:"state"` // connected, disconnected, notResponding
	Maintenance bool   `json:"maintenance,omitempty"`
	Version     string `json:"version"` // 8.0.3
	Build       string `json:"build"`
	// Newest is the highest hardware version that it supports, as vmx-21; empty
	// if unknown.
	Newest string `json:"newest,omitempty"`
}

// Datastore holds disks. Capacity and Free are bytes.
type Datastore struct {
	Place
	Kind       string `json:"kind"` // VMFS, NFS, vsan
	Capacity   int64  `json:"capacity"`
	Free       int64  `json:"free"`
	Accessible bool   `json:"accessible"`
	Hosts      []Ref  `json:"hosts"` // that have it mounted
}

// Network is a port group or opaque network.
type Network struct {
	Place
	Kind string `json:"kind"` // standard, distributed, opaque
}

// VM is a virtual machine.
type VM struct {
	Place
	// UUID is the instance UUID. It does not change when the VM moves.
	UUID     string `json:"uuid"`
	BIOSUUID string `json:"biosUuid"`
	// BootOrder are the kinds of devices that it boots from, if that was set.
	BootOrder []string `json:"bootOrder,omitempty"`
	Host      Ref      `json:"host"`
	Power     Power    `json:"power"`
	Template  bool     `json:"template,omitempty"`
	// Manager is the extension that made the VM and looks after it, as
	// com.vmware.vim.eam does after a cluster's agents; empty: people do.
	Manager string `json:"manager,omitempty"`
	// VApp: it is in a vApp, not in a folder.
	VApp  bool     `json:"vApp,omitempty"`
	State string   `json:"state"`          // connected, disconnected, orphaned, inaccessible
	Tags  []string `json:"tags,omitempty"` // category/name
	// Note is its annotation.
	Note     string   `json:"note,omitempty"`
	Hardware Hardware `json:"hardware"`
	// Snapshots are all of them, oldest first.
	Snapshots []Snapshot `json:"snapshots,omitempty"`
	// Consolidate: it has delta disks that belong to no snapshot.
	Consolidate bool `json:"consolidate,omitempty"`
	// Tracking: changed-block tracking is on.
	Tracking bool  `json:"tracking,omitempty"`
	Guest    Guest `json:"guest"`
}

// Guest is what VMware Tools report.
type Guest struct {
	ToolsRunning bool       `json:"toolsRunning,omitempty"`
	Heartbeat    string     `json:"heartbeat,omitempty"` // green, yellow, red, gray
	HostName     string     `json:"hostName,omitempty"`
	Family       string     `json:"family,omitempty"` // linuxGuest, windowsGuest
	NICs         []GuestNIC `json:"nics,omitempty"`
}

// GuestNIC is a NIC as the guest has configured it.
type GuestNIC struct {
	Key     int32  `json:"key"` // of the virtual device; -1 for none
	Network string `json:"network,omitempty"`
	MAC     string `json:"mac,omitempty"`
	// IPs in CIDR notation, as 10.0.0.5/24.
	IPs []string `json:"ips,omitempty"`
	// DHCP: its IPv4 address comes from a DHCP server.
	DHCP    bool     `json:"dhcp,omitempty"`
	Gateway string   `json:"gateway,omitempty"`
	DNS     []string `json:"dns,omitempty"`
}

// Snapshot of a VM.
type Snapshot struct {
	Ref     Ref       `json:"ref"`
	Name    string    `json:"name"`
	Note    string    `json:"note,omitempty"`
	Created time.Time `json:"created,omitzero"`
	// Disks are the frozen disks; empty in a VM's list of snapshots.
	Disks []Disk `json:"disks,omitempty"`
}

// Windows reports whether the guest is Windows.
func (v VM) Windows() bool {
	return v.Guest.Family == "windowsGuest" || v.Guest.Family == "" && strings.HasPrefix(strings.ToLower(v.Hardware.GuestID), "win")
}

// Is reports whether the guest's NIC is the VM's.
func (x GuestNIC) Is(n NIC) bool {
	return x.Key == n.Key || x.MAC != "" && strings.EqualFold(x.MAC, n.MAC)
}
