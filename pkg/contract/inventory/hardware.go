package inventory

import "strconv"

// Hardware is a VM's configuration, as far as its replica needs it.
type Hardware struct {
	Version    string `json:"version"` // vmx-19
	GuestID    string `json:"guestId"` // otherLinux64Guest
	CPUs       int32  `json:"cpus"`
	PerSocket  int32  `json:"perSocket,omitempty"`
	MemoryMB   int64  `json:"memoryMB"`
	Firmware   string `json:"firmware"` // bios or efi
	SecureBoot bool   `json:"secureBoot,omitempty"`
	// Options of its CPUs and memory: virtualization in the guest, changes while it
	// runs, virtualization-based security, and the IOMMU that this needs.
	NestedHV     bool `json:"nestedHV,omitempty"`
	CPUHotAdd    bool `json:"cpuHotAdd,omitempty"`
	MemoryHotAdd bool `json:"memoryHotAdd,omitempty"`
	VBS          bool `json:"vbs,omitempty"`
	IOMMU        bool `json:"iommu,omitempty"`
	// TPM: it has a virtual TPM, which cannot be replicated.
	TPM bool `json:"tpm,omitempty"`
	// Encrypted: its home is encrypted, which cannot be replicated.
	Encrypted   bool         `json:"encrypted,omitempty"`
	Controllers []Controller `json:"controllers"`
	Disks       []Disk       `json:"disks"`
	NICs        []NIC        `json:"nics"`
	// Extra are advanced settings: those that a guest may depend on, and marks.
	Extra map[string]string `json:"extra,omitempty"`
}

// Controller of disks. Key is its device key.
type Controller struct {
	Key  int32  `json:"key"`
	Kind string `json:"kind"` // pvscsi, lsilogic, lsilogic-sas, buslogic, nvme, ahci, ide
	Bus  int32  `json:"bus"`
	// Sharing of a SCSI bus: none, virtual or physical.
	Sharing string `json:"sharing,omitempty"`
}

// Disk is a virtual disk. Key is its device key and never changes.
type Disk struct {
	Key        int32  `json:"key"`
	Label      string `json:"label"` // Hard disk 1
	Controller int32  `json:"controller"`
	Unit       int32  `json:"unit"`
	Size       int64  `json:"size"` // bytes
	UUID       string `json:"uuid"` // 6000C29x-...
	// File is the top of its chain, as "[ds1] web/web-000001.vmdk"; Below are
	// the files under it, newest first.
	File  string   `json:"file"`
	Below []string `json:"below,omitempty"`
	Thin  bool     `json:"thin,omitempty"`
	// Mode is persistent, independent_persistent, independent_nonpersistent, ...
	Mode string `json:"mode"`
	// RDM is physical or virtual for a raw device mapping.
	RDM string `json:"rdm,omitempty"`
	// Sharing: several VMs may write to it (multi-writer).
	Sharing bool `json:"sharing,omitempty"`
	// ChangeID is the changed-block tracking id of a snapshot's disk.
	ChangeID string `json:"changeId,omitempty"`
	// Filters are the ids of the attached I/O filters.
	Filters []string `json:"filters,omitempty"`
}

// NIC is a network card.
type NIC struct {
	Key       int32  `json:"key"`
	Label     string `json:"label"`
	Kind      string `json:"kind"` // vmxnet3, e1000e, e1000, ...
	Network   Ref    `json:"network"`
	NetName   string `json:"netName"`
	MAC       string `json:"mac"`
	Connected bool   `json:"connected"` // at power-on
}

// Address is a disk's slot, as scsi0:1 or nvme0:0. It is unique in a VM, and
// people use it in specs.
func (h Hardware) Address(d Disk) string {
	for _, c := range h.Controllers {
		if c.Key == d.Controller {
			bus := "scsi"
			switch c.Kind {
			case "nvme":
				bus = "nvme"
			case "ahci":
				bus = "sata"
			case "ide":
				bus = "ide"
			}
			return bus + strconv.Itoa(int(c.Bus)) + ":" + strconv.Itoa(int(d.Unit))
		}
	}
	return "disk" + strconv.Itoa(int(d.Key))
}
