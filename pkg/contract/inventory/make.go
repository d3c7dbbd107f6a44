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
	// Networks are the target's networks, by device key of Hardware's NICs.
	Networks map[int32]Ref
	// Extra are settings besides those of Hardware: the marks.
	Extra map[string]string
	// KeepMAC gives the NICs the source's MAC addresses.
	KeepMAC bool
	// BIOSUUID is the UUID that the guest sees; empty: the vCenter chooses one.
	BIOSUUID string
}

// Plug is a disk to be attached to a VM. Address has the form of
// Hardware.Address, scsi0:1; its controller must exist. Empty: the next free slot
// of a pvscsi controller, and a new controller if all slots are taken.
type Plug struct {
	File    string // "[ds] dir/name.vmdk"
	Address string
	// UUID is the disk's: if another disk is found at File, it is not left attached.
	// Empty: not known yet.
	UUID string
	// Frozen: attached independent and non-persistent, for reading only.
	Frozen bool
}

// Identity is the network configuration that a guest is given when it starts.
// NICs has the order of the VM's.
type Identity struct {
	HostName string
	Windows  bool
	NICs     []NICIdentity
	DNS      []string
	Domain   string
	// Login is the guest login with which a script inside the guest configures it; empty:
	// the vCenter does, by its customization.
	Login string `json:",omitempty"`
}

// NICIdentity configures one NIC; an empty IP means DHCP.
type NICIdentity struct {
	IP   string // 10.9.0.5
	Mask string // 255.255.255.0
	// More are further IPv4 addresses with their prefix lengths, which only a script inside
	// the guest configures: a vCenter takes one.
	More    []string `json:",omitempty"`
	Gateway string
	DNS     []string
	// IPv6 are addresses with their prefix lengths, 2001:db8:9::5/64, and GatewayV6
	// their gateway.
	IPv6      []string `json:",omitempty"`
	GatewayV6 string   `json:",omitempty"`
}
