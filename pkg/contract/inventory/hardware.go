package inventory

// Hardware is what a VM is made of, as far as its replica needs it.
type Hardware struct {
	Version    string `json:"version"` // vmx-19
	GuestID    string `json:"guestId"` // otherLinux64Guest
	CPUs       int32  `json:"cpus"`
	PerSocket  int32  `json:"perSocket,omitempty"`
	MemoryMB   int64  `json:"memoryMB"`
	Firmware   string `json:"firmware"` // bios or efi
	SecureBoot bool   `json:"secureBoot,omitempty"`
	// TPM: it has a virtual TPM, which cannot be replicated.
	TPM bool `json:"tpm,omitempty"`
	// Encrypted: its home is encrypted, which a replica's cannot be.
	Encrypted   bool         `json:"encrypted,omitempty"`
	Controllers []Controller `json:"controllers"`
	Disks       []Disk       `json:"disks"`
	NICs        []NIC        `json:"nics"`
	// Extra are the advanced settings that a guest may depend on; see
	// ExtraThatMatters.
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

// Disk is a virtual disk. Key is its device key, and stays for its life.
type Disk struct {
	Key        int32  `json:"key"`
	Label      string `json:"label"` // Hard disk 1
	Controller int32  `json:"controller"`
	Unit       int32  `json:"unit"`
	Size       int64  `json:"size"` // bytes
	UUID       string `json:"uuid"` // 6000C29x-...
	// File is its newest link, as "[ds1] web/web-000001.vmdk"; Below are the
	// files of those that it lies over, newest first.
	File  string   `json:"file"`
	Below []string `json:"below,omitempty"`
	Thin  bool     `json:"thin,omitempty"`
	// Mode is persistent, independent_persistent, independent_nonpersistent, ...
	Mode string `json:"mode"`
	// RDM is physical or virtual for a raw device mapping.
	RDM string `json:"rdm,omitempty"`
	// Sharing: several VMs write to it (multi-writer).
	Sharing bool `json:"sharing,omitempty"`
	// ChangeID is where changed-block tracking stands; of a snapshot's disk.
	ChangeID string `json:"changeId,omitempty"`
	// Filters are the I/O filters that see its writes.
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

// Address is where a disk is plugged in, as scsi0:1 or nvme0:0. It is unique
// in a VM and what people write.
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
			return bus + itoa(c.Bus) + ":" + itoa(d.Unit)
		}
	}
	return "disk" + itoa(d.Key)
}
