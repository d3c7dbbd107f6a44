package inventory

import (
	"slices"
	"strconv"
	"time"

	"tidemark.dev/pkg/cdp"
)

// Job is the protection that an operator wants: which VMs, and where and how
// their replicas are kept at the target.
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
	Capture cdp.CaptureMode `json:"capture"`
	// ExcludeDisks are not replicated.
	ExcludeDisks []DiskRef `json:"excludeDisks,omitempty"`
	// Filter is the id of the I/O filter that captures writes. Policy is the id of
	// the storage policy that attaches it; empty: it is attached by filter spec.
	Filter string `json:"filter,omitempty"`
	Policy string `json:"policy,omitempty"`
	// Quiesce asks VMware Tools to quiesce the guest for snapshots; cbt only.
	Quiesce bool `json:"quiesce,omitempty"`
}

// DiskRef is a disk of a VM: by its address (scsi0:1) or label (Hard disk 2).
// An empty VM means every VM of the job.
type DiskRef struct {
	VM   string `json:"vm,omitempty"`
	Disk string `json:"disk"`
}

// JobTarget says where the replicas are kept, in names or inventory paths.
// Exactly one of Host and Cluster is set.
type JobTarget struct {
	// Host runs the replicas' VMs, or a host of Cluster does.
	Host    string `json:"host,omitempty"`
	Cluster string `json:"cluster,omitempty"`
	// Datastore has their disks.
	Datastore string `json:"datastore"`
	// Disks are placed elsewhere than on Datastore.
	Disks []DiskPlace `json:"disks,omitempty"`
	// Folder and Pool are those of the VMs; empty: the datacenter's, and the host's.
	Folder string `json:"folder,omitempty"`
	Pool   string `json:"pool,omitempty"`
	// Suffix of a replica's name; default -replica.
	Suffix   string       `json:"suffix,omitempty"`
	Networks []NetworkMap `json:"networks,omitempty"`
	ReIP     []ReIP       `json:"reIP,omitempty"`
	// GuestLogin names the login at guests with which addresses are changed from inside;
	// empty: the vCenter's customization changes them.
	GuestLogin string `json:"guestLogin,omitempty"`
	// GuestLogins are those of VMs that have another one than GuestLogin.
	GuestLogins []VMLogin `json:"guestLogins,omitempty"`
	// Seeds are files that already hold a copy of a source disk: a restored
	// backup or an old replica. They are verified and become the replica's disks.
	Seeds []Seed `json:"seeds,omitempty"`
	// KeepMAC gives the replica's NICs the source's MAC addresses.
	KeepMAC bool `json:"keepMAC,omitempty"`
	// KeepUUID gives the replica, and the VMs of its tests, the source's BIOS UUID.
	KeepUUID bool `json:"keepUUID,omitempty"`
}

// DiskPlace places a disk on a datastore.
type DiskPlace struct {
	DiskRef
	Datastore string `json:"datastore"`
}

// NetworkMap connects NICs on the source's network From to To in production and
// to Test in a test failover. An empty Test leaves them disconnected.
type NetworkMap struct {
	From string `json:"from"`
	To   string `json:"to"`
	Test string `json:"test,omitempty"`
}

// ReIP changes addresses. With VM set, IP becomes the address, in CIDR notation,
// of that VM's NIC (numbered from 0). Otherwise an address in the subnet From is
// replaced by the one with the same host part in To.
type ReIP struct {
	VM      string   `json:"vm,omitempty"`
	NIC     int      `json:"nic,omitempty"`
	IP      string   `json:"ip,omitempty"`
	From    string   `json:"from,omitempty"`
	To      string   `json:"to,omitempty"`
	Gateway string   `json:"gateway,omitempty"`
	DNS     []string `json:"dns,omitempty"`
}

// VMLogin is the login at the guest of one VM, by name.
type VMLogin struct {
	VM string `json:"vm"`
	// Login is the name of its file at the target site.
	Login string `json:"login"`
}

// LoginOf names the login at a VM's guest; empty: none. Of a VM that was renamed, both
// names are given.
func (t JobTarget) LoginOf(names ...string) string {
	for _, x := range t.GuestLogins {
		if slices.Contains(names, x.VM) {
			return x.Login
		}
	}
	return t.GuestLogin
}

// Logins are the names of all logins at guests, each with its place in the target.
func (t JobTarget) Logins() map[string]string {
	out := map[string]string{}
	for i, x := range t.GuestLogins {
		out["guestLogins/"+strconv.Itoa(i)+"/login"] = x.Login
	}
	if t.GuestLogin != "" {
		out["guestLogin"] = t.GuestLogin
	}
	return out
}

// Seed is a file that already holds a copy of a disk.
type Seed struct {
	DiskRef
	File string `json:"file"` // "[ds] dir/name.vmdk"
}

// Checks verify that a started VM works. The zero value checks its power state.
type Checks struct {
	// Tools: VMware Tools run and their heartbeat is green.
	Tools bool `json:"tools,omitempty"`
	// Ping: the VM's first address must answer.
	Ping bool `json:"ping,omitempty"`
	// Ports are TCP ports that must accept a connection.
	Ports []int `json:"ports,omitempty"`
	// Script is a program on the transporter that must exit with 0. Its
	// environment has TIDEMARK_VM, TIDEMARK_IP, TIDEMARK_JOB and TIDEMARK_RUN.
	Script string `json:"script,omitempty"`
	// Timeout is for all checks together; default 5 minutes.
	Timeout time.Duration `json:"timeoutNanos,omitempty"`
}

// Member is a protected VM as it was last seen, and its replica. It is stored at
// the target and holds everything that a failover needs.
type Member struct {
	Group string `json:"group"` // its own job
	Job   string `json:"job"`
	// VM is the source's VM, as it was last seen.
	VM VM `json:"vm"`
	// JoinedAs is the VM's name when it became a member. Rules that name the VM
	// keep applying to it after it is renamed.
	JoinedAs string `json:"joinedAs,omitempty"`
	// Disks are those that are replicated, in the group's order.
	Disks []MemberDisk `json:"disks"`
	// Datacenter has the replica's disks: the path of a file means something else in
	// another one. Empty in records of older versions.
	Datacenter Ref    `json:"datacenter,omitempty"`
	Replica    Ref    `json:"replica,omitempty"` // where it was seen last
	Name       string `json:"name"`              // the replica's
	// ReplicaUUID is the replica's instance UUID: a rebuilt vCenter reuses
	// references for other VMs.
	ReplicaUUID string `json:"replicaUuid,omitempty"`
	// TookFrom is the group whose source the replica VM was before a failover; empty: the
	// VM was made for this member. Neither that VM nor a disk of it is ever deleted.
	TookFrom string `json:"tookFrom,omitempty"`
	// Former are the instance UUIDs of replica VMs whose place this one took because
	// their hosts were down. They have no disks, and are removed when they can be.
	Former []string `json:"former,omitempty"`
	// Networks and Isolated are the networks of the replica's NICs in production
	// and in a test, by the source's device key; "" means disconnected.
	Networks map[int32]Ref `json:"networks,omitempty"`
	Isolated map[int32]Ref `json:"isolated,omitempty"`
	// Identity is the guest's network configuration at the target; nil: unchanged.
	Identity *Identity   `json:"identity,omitempty"`
	State    MemberState `json:"state"`
	Trouble  string      `json:"trouble,omitempty"`
	Problems []Problem   `json:"problems,omitempty"`
}

// MemberDisk is one disk and its replica.
type MemberDisk struct {
	Name string `json:"name"` // of the group's disk: scsi0-1
	Disk Disk   `json:"disk"`
	// Address is the source disk's slot: scsi0:1.
	Address string `json:"address"`
	// File, UUID and Path are the replica disk's file, its UUID and its block
	// device on the transporter.
	File string `json:"file"`
	UUID string `json:"uuid,omitempty"`
	Path string `json:"path,omitempty"`
	// Seeded: File existed before and held a copy. It belongs to the replica once
	// UUID is set; SeedUUID is the UUID that was read before that.
	Seeded   bool   `json:"seeded,omitempty"`
	SeedUUID string `json:"seedUuid,omitempty"`
	// Extend is how many bytes the source disk has, as long as the replica has fewer;
	// else 0.
	Extend int64 `json:"extend,omitempty"`
	// Gone is when the source VM was first seen without the disk; zero: it has it. The
	// replica keeps the disk, for recovery points from before.
	Gone time.Time `json:"gone,omitzero"`
}
