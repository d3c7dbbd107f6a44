package inventory

// Slots are the free disk slots of a transporter, with those that frozen disks have
// taken for a pass.
type Slots struct {
	UUID string `json:"uuid"` // the transporter's
	Name string `json:"name"` // the transporter's
	Free int    `json:"free"` // how many more disks it can have
}

// Appliance is a transporter: a VM that runs Tidemark's services of a site.
type Appliance struct {
	Name    string `json:"name"`
	VM      Ref    `json:"vm"`
	UUID    string `json:"uuid"`
	Host    string `json:"host"`
	Power   Power  `json:"power"`
	Version string `json:"version,omitempty"`
	// Free is how many more disks it can have.
	Free int `json:"freeSlots"`
	// Answers: its journal service was heard on the bus.
	Answers bool `json:"answers"`
	// Holds are the groups whose journals it keeps.
	Holds []string `json:"holds,omitempty"`
}

// Import is an appliance to be deployed from an OVA.
type Import struct {
	OVA       string // path of the file
	Name      string
	Note      string
	Host      Ref
	Pool      Ref
	Folder    Ref
	Datastore Ref
	Networks  map[string]Ref    // by the OVF's network name; "" is for all others
	Guestinfo map[string]string // guestinfo.* settings
	Extra     map[string]string // other advanced settings, such as marks
	// KeepData: of Tidemark's own OVA, the blank data disk is not made, for the VM gets
	// another one's.
	KeepData bool
}

// OwnAppliance is the id of the virtual system in Tidemark's own OVA. Such a VM keeps
// everything on the disk at OwnData, which is blank at first.
const (
	OwnAppliance = "tidemark-transporter"
	OwnData      = "scsi0:1"
)
