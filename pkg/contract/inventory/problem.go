package inventory

// Problem is what prevents a job from protecting its VMs, in plain words.
type Problem struct {
	VM   string `json:"vm,omitempty"`   // empty: the job as a whole
	UUID string `json:"uuid,omitempty"` // the VM's: several may have its name
	Path string `json:"path,omitempty"` // of the job's field: /spec/target/networks/0
	Rule string `json:"rule"`
	Text string `json:"text"`
	// Warning: it is reported, and nothing is refused.
	Warning bool `json:"warning,omitempty"`
}

// String is the problem in one line, with the VM and the field it is about.
func (p Problem) String() string {
	s := ""
	if p.VM != "" {
		s = p.VM + ": "
	}
	if p.Path != "" {
		s += p.Path + ": "
	}
	return s + p.Text
}

// RuleUnreachable is the rule of a Problem that another look may resolve: a
// service that had to be asked did not answer.
const RuleUnreachable = "unreachable"
