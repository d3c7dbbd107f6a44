package inventory

// Selector names VMs: exactly one of its fields but Exclude is set. A name, path
// or UUID selects one VM; a folder or tag selects all VMs in it, now and later.
type Selector struct {
	Name   string `json:"name,omitempty"`
	Path   string `json:"path,omitempty"`
	UUID   string `json:"uuid,omitempty"` // instance UUID
	Folder string `json:"folder,omitempty"`
	Tag    string `json:"tag,omitempty"` // category/name
	// Exclude are names of VMs that a folder or tag does not select.
	Exclude []string `json:"exclude,omitempty"`
}
