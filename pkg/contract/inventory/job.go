package inventory

import "time"

// Job is what an operator wants of VMs: which, from where, and as what they
// stand at the target.
type Job struct {
	Name   string    `json:"name"`
	Source JobSource `json:"source"`
	Target JobTarget `json:"target"`
	Checks Checks    `json:"checks,omitzero"`
}

// JobSource says which VMs.
type JobSource struct {
	VMs []Selector `json:"vms"`
	// Capture is tap or cbt.
	Capture string `json:"capture"`
	// ExcludeDisks are not replicated.
	ExcludeDisks []DiskRef `json:"excludeDisks,omitempty"`
	// Filter is the I/O filter that taps, by id; Policy the storage policy by
	// which it is attached, by id; empty: by filter spec.
	Filter string `json:"filter,omitempty"`
	Policy string `json:"policy,omitempty"`
	// Quiesce asks the guest's tools to quiesce for cbt's snapshots.
	Quiesce bool `json:"quiesce,omitempty"`
}

// DiskRef is a disk of a VM: by its address (scsi0:1) or label (Hard disk 2).
// An empty VM means every VM of the job.
type DiskRef struct {
	VM   string `json:"vm,omitempty"`
	Disk string `json:"disk"`
}

// JobTarget says where the replicas stand. Exactly one of Host and Cluster is
// set; names or inventory paths.
type JobTarget struct {
	Host      string `json:"host,omitempty"`
	Cluster   string `json:"cluster,omitempty"`
	Datastore string `json:"datastore"`
	// Disks are put elsewhere than on Datastore.
	Disks  []DiskPlace `json:"disks,omitempty"`
	Folder string      `json:"folder,omitempty"`
	Pool   string      `json:"pool,omitempty"`
	// Suffix of a replica's name; default -replica.
	Suffix   string       `json:"suffix,omitempty"`
	Networks []NetworkMap `json:"networks,omitempty"`
	ReIP     []ReIP       `json:"reIP,omitempty"`
	// Seeds are disks that hold a copy of a source's disk already: a restored
	// backup, an old replica. They are verified, and become the replica's.
	Seeds []Seed `json:"seeds,omitempty"`
	// KeepMAC gives the replica's NICs the source's addresses.
	KeepMAC bool `json:"keepMAC,omitempty"`
}

// DiskPlace puts a disk on a datastore.
type DiskPlace struct {
	DiskRef
	Datastore string `json:"datastore"`
}

// NetworkMap says where NICs on the source's network From are connected: To in
// production, Test in a test; an empty Test leaves them disconnected.
type NetworkMap struct {
	From string `json:"from"`
	To   string `json:"to"`
	Test string `json:"test,omitempty"`
}

// ReIP changes addresses. With VM set, it is that VM's NIC (from 0) and IP is
// the new address in CIDR notation; else addresses in From become those with
// the same host part in To.
type ReIP struct {
	VM      string   `json:"vm,omitempty"`
	NIC     int      `json:"nic,omitempty"`
	IP      string   `json:"ip,omitempty"`
	From    string   `json:"from,omitempty"`
	To      string   `json:"to,omitempty"`
	Gateway string   `json:"gateway,omitempty"`
	DNS     []string `json:"dns,omitempty"`
}

// Seed is a disk that is there already.
type Seed struct {
	DiskRef
	File string `json:"file"` // "[ds] dir/name.vmdk"
}

// Checks tell whether a VM that was started works. Zero: that it is powered on.
type Checks struct {
	// Tools: VMware Tools run and their heartbeat is green.
	Tools bool `json:"tools,omitempty"`
	// Ping answers at the VM's first address.
	Ping bool `json:"ping,omitempty"`
	// Ports are TCP ports that take a connection.
	Ports []int `json:"ports,omitempty"`
	// Script is a program on the transporter, run with TIDEMARK_VM,
	// TIDEMARK_IP, TIDEMARK_JOB and TIDEMARK_RUN in its environment; exit code 0
	// is good.
	Script string `json:"script,omitempty"`
	// Timeout of all of them together; default 5 minutes.
	Timeout time.Duration `json:"timeoutNanos,omitempty"`
}

// Member is a VM that a job protects, as it was last seen, and its replica:
// everything that a failover needs, kept at the target.
type Member struct {
	Group string `json:"group"` // its own job
	Job   string `json:"job"`
	// VM is the source's, as it was last seen.
	VM VM `json:"vm"`
	// Met is the name it had when it joined, by which rules for it go on to hold.
	Met string `json:"met,omitempty"`
	// Disks are those that are replicated, in the order of the group's.
	Disks   []MemberDisk `json:"disks"`
	Replica Ref          `json:"replica,omitempty"` // where it was seen last
	Name    string       `json:"name"`              // the replica's
	// ReplicaUUID is its instance UUID: a vCenter that was made anew gives its
	// references to other VMs.
	ReplicaUUID string `json:"replicaUuid,omitempty"`
	// Networks are the replica's NICs', by the source's device key: in
	// production and in a test ("": disconnected).
	Networks map[int32]Ref `json:"networks,omitempty"`
	Isolated map[int32]Ref `json:"isolated,omitempty"`
	// Identity is what the guest is told when it starts here; nil: nothing.
	Identity *Identity `json:"identity,omitempty"`
	State    string    `json:"state"`
	Trouble  string    `json:"trouble,omitempty"`
	Problems []Problem `json:"problems,omitempty"`
}

// MemberDisk is one disk and its replica.
type MemberDisk struct {
	Name string `json:"name"` // of the group's disk: scsi0-1
	Disk Disk   `json:"disk"`
	// Address is where it is plugged in: scsi0:1.
	Address string `json:"address"`
	// File of the replica, its UUID, and where the transporter has it.
	File string `json:"file"`
	UUID string `json:"uuid,omitempty"`
	Path string `json:"path,omitempty"`
	// Seeded: File was there before, with content. It is the replica's once it has
	// a UUID here; SeedUUID is what it was found to have before.
	Seeded   bool   `json:"seeded,omitempty"`
	SeedUUID string `json:"seedUuid,omitempty"`
}
