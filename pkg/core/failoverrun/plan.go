package failoverrun

import "tidemark.dev/pkg/contract/recovery"

// recoverSteps are the steps that bring a group to what was asked for.
func recoverSteps(r Request, job Pinned) []recovery.Step {
	var steps []recovery.Step
	if r.Planned && fences(r, job) {
		steps = append(steps, recovery.FenceVM)
	}
	if r.Planned {
		steps = append(steps, recovery.Drain, recovery.Arrive)
	}
	switch {
	case r.Mode == recovery.Test && r.To == recovery.ToVM:
		return append(steps, recovery.Resolve, recovery.Build, recovery.Fill, recovery.Attach, recovery.Boot, recovery.Check)
	case r.Mode == recovery.Test:
		return append(steps, recovery.Resolve, recovery.Open)
	case r.To == recovery.ToVM:
		return append(steps, recovery.Halt, recovery.Resolve, recovery.Move, recovery.Release, recovery.Attach, recovery.Boot, recovery.Check)
	case r.To == recovery.ToFiles:
		return append(steps, recovery.Halt, recovery.Resolve, recovery.Move)
	}
	return append(steps, recovery.Halt, recovery.Resolve, recovery.Open, recovery.Move)
}

// commitSteps make a production failover final.
func (r Run) commitSteps() (steps []recovery.Step) {
	if !r.done(recovery.Move) {
		steps = append(steps, recovery.Move)
	}
	switch r.To {
	case recovery.ToNBD:
		steps = append(steps, recovery.Absorb, recovery.Close)
	case recovery.ToVM:
		steps = append(steps, recovery.Keep)
	}
	return append(steps, recovery.Seal)
}

// backSteps reverse every step that may have had its effect.
func (r Run) backSteps() (steps []recovery.Step) {
	if r.touched(recovery.Open, recovery.Close) {
		steps = append(steps, recovery.Close)
	}
	if r.touched(recovery.Boot, recovery.Stop) {
		steps = append(steps, recovery.Stop)
	}
	if r.touched(recovery.Attach, recovery.Return) && r.Mode != recovery.Test { // a test has disks of its own
		steps = append(steps, recovery.Return)
	}
	if r.touched(recovery.Build, recovery.Remove) {
		steps = append(steps, recovery.Remove)
	}
	if r.touched(recovery.Halt, recovery.Resume) {
		steps = append(steps, recovery.Resume)
	}
	return steps
}
