package inventory

import (
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
	// UUID is the instance's own, of an ESXi host the host's; empty if it does not
	// tell.
	UUID string `json:"uuid,omitempty"`
	// ESX is a single host without vCenter: no clusters, tags, I/O filters or
	// storage policies.
	ESX bool `json:"esx,omitempty"`
}

// Inventory is what stands at a site. Paths are inventory paths, as
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

// Place is a thing that only holds others.
type Place struct {
	Ref  Ref    `json:"ref"`
	Name string `json:"name"`
	Path string `json:"path"`
}

// Cluster is a cluster, or the lone host's compute resource.
type Cluster struct {
	Place
	Hosts []Ref `json:"hosts"`
	// ImageManaged: its hosts' software is kept by an image (vLCM), so that
	// I/O filters cannot be installed by IoFilterManager.
	ImageManaged bool `json:"imageManaged,omitempty"`
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
	// Newest is the highest hardware version it runs, as vmx-21; empty when it
	// did not tell.
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
	// UUID is the instance UUID: it stays when the VM moves.
	UUID     string   `json:"uuid"`
	BIOSUUID string   `json:"biosUuid"`
	Host     Ref      `json:"host"`
	Power    string   `json:"power"` // on, off, suspended
	Template bool     `json:"template,omitempty"`
	State    string   `json:"state"`          // connected, disconnected, orphaned, inaccessible
	Tags     []string `json:"tags,omitempty"` // category/name
	// Note is its annotation.
	Note     string   `json:"note,omitempty"`
	Hardware Hardware `json:"hardware"`
	// Snapshots are all it has, oldest first.
	Snapshots []Snapshot `json:"snapshots,omitempty"`
	// Consolidate: it has delta disks that belong to no snapshot.
	Consolidate bool `json:"consolidate,omitempty"`
	// Tracking: changed-block tracking is on.
	Tracking bool  `json:"tracking,omitempty"`
	Guest    Guest `json:"guest"`
}

// Guest is what VMware Tools tell.
type Guest struct {
	ToolsRunning bool       `json:"toolsRunning,omitempty"`
	Heartbeat    string     `json:"heartbeat,omitempty"` // green, yellow, red, gray
	HostName     string     `json:"hostName,omitempty"`
	Family       string     `json:"family,omitempty"` // linuxGuest, windowsGuest
	NICs         []GuestNIC `json:"nics,omitempty"`
}

// GuestNIC is a NIC as the guest has set it up.
type GuestNIC struct {
	Key     int32  `json:"key"` // of the device; -1 for none
	Network string `json:"network,omitempty"`
	MAC     string `json:"mac,omitempty"`
	// IPs in CIDR notation, as 10.0.0.5/24.
	IPs     []string `json:"ips,omitempty"`
	Gateway string   `json:"gateway,omitempty"`
	DNS     []string `json:"dns,omitempty"`
}

// Snapshot of a VM.
type Snapshot struct {
	Ref     Ref       `json:"ref"`
	Name    string    `json:"name"`
	Note    string    `json:"note,omitempty"`
	Created time.Time `json:"created"`
	// Disks as they are frozen; only where a single snapshot was asked for.
	Disks []Disk `json:"disks,omitempty"`
}
