package inventory

// Privilege is one that Tidemark's user needs at a vCenter, and its purpose.
type Privilege struct {
	ID      string `json:"id"` // VirtualMachine.State.CreateSnapshot
	Purpose string `json:"purpose"`
	// Entity is where it is needed, usually the root folder: "".
	Entity Ref  `json:"entity,omitempty"`
	Role   Role `json:"role"`
}

// Missing is a privilege that the site's user lacks.
type Missing struct {
	Privilege string `json:"privilege"`
	Purpose   string `json:"purpose"`
	Entity    string `json:"entity"`
	// Roles are the requested roles that need it.
	Roles []Role `json:"roles,omitempty"`
}

// Role is what a site does for a job.
type Role string

const (
	// Every is what all sites need.
	Every    Role = "every"
	AsSource Role = "source"
	AsTarget Role = "target"
	// ForFilter is needed only where I/O filters are managed.
	ForFilter Role = "iofilter"
	// ForAppliance is needed only to deploy transporters.
	ForAppliance Role = "transporter"
	// ForGuests is needed only where something is done inside guests.
	ForGuests Role = "guest"
)
