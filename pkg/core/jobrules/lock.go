package jobrules

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
)

// lockStays refuses a shorter retention lock, or none where there was one.
func (p *problems) lockStays(j, was spec.Journal) {
	if j.Lock < was.Lock {
		p.add(cdp.Conflict, "/spec/journal/lock", "lock", "leave it at "+was.Lock.String()+", or make it longer",
			"a retention lock can be made longer, and never shorter: it is %s", was.Lock)
	}
}

// Unlocked is Conflict while the retention lock of a VM's journal holds points: its
// replica, which they need, would be in nobody's care.
func Unlocked(group string, left time.Duration) error {
	if left == 0 {
		return nil
	}
	return cdp.Errorf(cdp.Conflict, opDelete, group, "the retention lock of its journal holds recovery points for another %s", spec.Duration(left.Round(time.Second))).
		WithHint("stop the job, and delete it once nothing is locked any more: tidemark status " + group)
}
