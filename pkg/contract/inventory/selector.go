package inventory

// Selector names VMs: exactly one of its fields but Exclude is set. A name must
// mean one VM; of a folder and a tag all are meant, now and later.
type Selector struct {
	Name   string `json:"name,omitempty"`
	Path   string `json:"path,omitempty"`
	UUID   string `json:"uuid,omitempty"` // instance UUID
	Folder string `json:"folder,omitempty"`
	Tag    string `json:"tag,omitempty"` // category/name
	// Exclude are names that a folder or tag does not mean.
	Exclude []string `json:"exclude,omitempty"`
}

// Problem is what stands in the way of protecting VMs: which VM (empty: the
// job), which field or thing, the rule and what is wrong, in plain words.
type Problem struct {
	VM   string `json:"vm,omitempty"`
	Path string `json:"path,omitempty"` // of the job's field: /spec/target/networks/0
	Rule string `json:"rule"`
	Text string `json:"text"`
	// Warning: nothing is refused for it, only told.
	Warning bool `json:"warning,omitempty"`
}

// RuleUnreachable is the rule of a Problem that may be none when it is looked at
// again: what would have to be asked does not answer.
const RuleUnreachable = "unreachable"
