package inventory

// Privilege is one that Tidemark's user needs at a vCenter, and what for.
type Privilege struct {
	ID      string `json:"id"` // VirtualMachine.State.CreateSnapshot
	Purpose string `json:"purpose"`
	// Entity is where it is needed, usually the root folder: "".
	Entity Ref  `json:"entity,omitempty"`
	Role   Role `json:"role"`
}

// Role is what a site is to a job.
type Role string

// Every is what both sides need.
const (
	Every    Role = "every"
	AsSource Role = "source"
	AsTarget Role = "target"
	// ForFilter is needed only where I/O filters are managed.
	ForFilter Role = "iofilter"
	// ForAppliance is needed only to deploy transporters.
	ForAppliance Role = "transporter"
)
