package failoverrun

import "tidemark.dev/pkg/contract/recovery"

// learn records what a step found out.
func (r *Run) learn(e Event) {
	res := e.Result
	switch e.Step {
	case recovery.FenceVM:
		old := *r.Old
		old.Done, old.DoneAt, old.Text = true, e.Now, res.Text
		r.Old = &old
	case recovery.Drain:
		r.Drained = res.Drained
	case recovery.Halt:
		r.Bounds, r.Captured, r.Snapshots, r.HaltedAt = res.Bounds, res.Captured, res.Snapshots, e.Now
	case recovery.Resolve:
		r.Resolved = res.Resolved
	case recovery.Open:
		r.Export = res.Export
	case recovery.Close:
		r.Export = nil
	case recovery.Seal, recovery.Move:
		r.Paths = res.Paths
	case recovery.Build:
		r.Scratch = res.Paths
	}
	if e.Step == recovery.Boot && r.owesFence() {
		r.want(recovery.Fenced, e.Now)
	}
	r.learnVM(e)
	r.Moved, r.Total = 0, 0
	if e.Step == recovery.Open || e.Step == recovery.Boot || e.Step == recovery.Move && r.To != recovery.ToVM && r.UsableAt.IsZero() {
		r.UsableAt = e.Now
	}
}

// learnVM records what a step saw of the VM.
func (r *Run) learnVM(e Event) {
	if e.Result.VM != nil {
		r.VM = e.Result.VM
	}
	switch e.Step {
	case recovery.Check:
		r.checked(e)
	case recovery.Return, recovery.Remove:
		r.VM, r.Scratch = nil, nil
	}
}
