package inventory

// Make is a VM to be made, without disks.
type Make struct {
	Name      string
	Note      string
	Folder    Ref // of VMs
	Pool      Ref
	Host      Ref // "": the cluster chooses
	Datastore Ref // of its home
	Hardware  Hardware
	// Networks, by NIC of Hardware (key): where it is connected at the target.
	Networks map[int32]Ref
	// Extra settings besides those of Hardware: the marks that it is ours.
	Extra map[string]string
	// KeepMAC gives the NICs the source's addresses.
	KeepMAC bool
}

// Plug is a disk to be attached to a VM. Address is as Hardware.Address writes
// it, scsi0:1; the controller must be there. Empty: the next free place of a
// pvscsi controller, which is added where all are full.
type Plug struct {
	File    string // "[ds] dir/name.vmdk"
	Address string
	// Frozen: attached independent and non-persistent, to be read only.
	Frozen bool
}

// Identity is what a guest is told of its networks when it is started, in the
// order of the VM's NICs.
type Identity struct {
	HostName string
	Windows  bool
	NICs     []NICIdentity
	DNS      []string
	Domain   string
}

// NICIdentity is one NIC's; an empty IP means DHCP.
type NICIdentity struct {
	IP      string // 10.9.0.5
	Mask    string // 255.255.255.0
	Gateway string
	DNS     []string
}

// Import is an appliance to be made of an OVA.
type Import struct {
	OVA       string // path of the file
	Name      string
	Note      string
	Host      Ref
	Pool      Ref
	Folder    Ref
	Datastore Ref
	Networks  map[string]Ref    // by network name of the OVF; "" is for all others
	Guestinfo map[string]string // guestinfo.* settings
	Extra     map[string]string
}
