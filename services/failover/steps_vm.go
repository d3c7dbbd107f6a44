package failover

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// vmEndpoint is the vcenter endpoint of a step, and what the step came to if
// the service does not say.
func vmEndpoint(step recovery.Step) (endpoint, text string) {
	switch step {
	case recovery.Build:
		return api.VMBuild, "there is a VM for the test, and empty disks for it"
	case recovery.Attach:
		return api.VMAttach, "the VM has the disks"
	case recovery.Boot:
		return api.VMBoot, "the VM is on"
	case recovery.Check:
		return api.VMCheck, "the VM was looked at"
	case recovery.Stop:
		return api.VMStop, "the VM is off"
	case recovery.Return:
		return api.VMReturn, "the disks are back at the transporter; what the VM wrote is gone"
	case recovery.Keep:
		return api.VMKeep, "the replica VM is the VM, with what it wrote"
	case recovery.Remove:
		return api.VMRemove, "the test's VM and its disks are gone"
	}
	return "", ""
}

// vm does a step of a failover to a VM.
func (s *Service) vm(ctx context.Context, st failoverrun.Run, step recovery.Step) (failoverrun.Result, bool, error) {
	endpoint, text := vmEndpoint(step)
	if endpoint == "" {
		return failoverrun.Result{}, false, cdp.Errorf(cdp.Internal, "do step", string(step), "there is no such step")
	}
	job, err := s.deps.Jobs.Get(ctx, st.Job)
	if err != nil && !cdp.Is(err, cdp.NotFound) { // a run over a job that was deleted is still to be ended
		return failoverrun.Result{}, false, err
	}
	switch step {
	case recovery.Build: // the point must still be there when the disks are
		if _, err := s.deps.Exports.Fill(ctx, api.FillRequest{Group: cdp.GroupID(st.Job), Run: st.ID, Seq: st.Resolved.Seq}); err != nil {
			return failoverrun.Result{}, false, err
		}
	case recovery.Remove: // nobody writes to the disks when they go
		if err := s.deps.Exports.FillStop(ctx, api.RunRequest{Group: cdp.GroupID(st.Job), Run: st.ID}); err != nil && !cdp.Is(err, cdp.NotFound) {
			return failoverrun.Result{}, false, err
		}
	}
	a, err := s.deps.VMs.Do(ctx, endpoint, api.VMRunRequest{Job: st.Job, Run: st.ID, Test: st.Mode == recovery.Test, Source: job.Source.Site, Target: job.Target.Site})
	r := failoverrun.Result{Text: a.Text, VM: a.VM, Moved: a.Moved, Total: a.Total}
	if err != nil || !a.Done {
		return r, false, err
	}
	switch {
	case step == recovery.Build:
		r.Paths = a.Paths
	case step == recovery.Check && a.VM != nil:
		text = Checks(*a.VM)
	}
	r.Text = cmp.Or(r.Text, text)
	return r, true, nil
}

// fill writes the point onto the disks of the test's VM.
func (s *Service) fill(ctx context.Context, st failoverrun.Run) (failoverrun.Result, bool, error) {
	m, err := s.deps.Exports.Fill(ctx, api.FillRequest{Group: cdp.GroupID(st.Job), Run: st.ID, Seq: st.Resolved.Seq, Paths: st.Scratch})
	return s.moved(ctx, st, m, err, "the disks of the test's VM hold the point")
}

// Checks says in words what the checks of a VM found.
func Checks(vm api.VMRun) string {
	if len(vm.Checks) == 0 {
		return "no checks"
	}
	var failed, passed []string
	for _, c := range vm.Checks {
		switch {
		case c.OK:
			passed = append(passed, c.Name)
		case c.Text == "":
			failed = append(failed, c.Name)
		default:
			failed = append(failed, fmt.Sprintf("%s (%s)", c.Name, c.Text))
		}
	}
	var parts []string
	if len(failed) > 0 {
		parts = append(parts, "failed: "+strings.Join(failed, ", "))
	}
	if len(passed) > 0 {
		parts = append(parts, "passed: "+strings.Join(passed, ", "))
	}
	return strings.Join(parts, "; ")
}

// VM says in words where a VM is.
func VM(vm api.VMRun) string {
	text := vm.Name + " is " + string(vm.Power)
	if vm.Host != "" {
		text += " at host " + vm.Host
	}
	if len(vm.IPs) > 0 {
		text += ", " + strings.Join(vm.IPs, " ")
	}
	return text
}
