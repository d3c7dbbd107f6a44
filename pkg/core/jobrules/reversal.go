package jobrules

import (
	"reflect"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

const opReprotect = "reprotect job"

// directionStays refuses to reverse a job by applying it: its replicas are somebody's old
// disks then, and whether they may be overwritten is checked by a reprotection only.
func (p *problems) directionStays(is, was *spec.Reverses) {
	if reflect.DeepEqual(is, was) {
		return
	}
	p.add(cdp.Conflict, "/spec", "immutable", "leave it out; to reverse a job that was failed over: tidemark reprotect JOB", "reverses is not changed by applying a job")
}

// reversesOf is the failover that what is stored leads back from; nil: none.
func reversesOf(now Stored) *spec.Reverses {
	switch {
	case now.VMJob != nil:
		return now.VMJob.Reverses
	case now.Job != nil:
		return now.Job.Reverses
	}
	return nil
}

// Continue is a description with what the file that people keep of a job does not say:
// which job of its name it is, and, if it has no direction, how often that was reversed.
func Continue(j spec.ReplicationJob, now Stored) spec.ReplicationJob {
	if j.ID = ""; now.Job != nil {
		j.ID = now.Job.ID
	}
	if j.Reverses == nil && now.Job != nil && now.Job.Source.Site == j.Source.Site {
		j.Reverses = now.Job.Reverses
	}
	return j
}

// Reversal is what becomes of what is stored under the name of a reversed job.
type Reversal string

const (
	Write   Reversal = "write"   // there is nothing: it is written
	Replace Reversal = "replace" // an earlier round, whose failover was committed: it is removed first
	Present Reversal = "present" // it is there
)

// Reverse says whether a reversed job may take its name here. before is what the job that was
// failed over reversed; nil: none. jobs are all jobs here, and run is the last failover of that
// name here; nil: none.
func (h Here) Reverse(j spec.ReplicationJob, before *spec.Reverses, now Stored, jobs []spec.ReplicationJob, run *failoverrun.Run) (Reversal, error) {
	r := j.Reverses
	for _, o := range jobs {
		if o.Name != j.Name && o.Retires(r.Site, r.Job, r.Round-1) {
			return "", cdp.Errorf(cdp.Conflict, opReprotect, r.Job, "the job %s reverses it already", o.Name).
				WithHint("see how far it is: tidemark status " + o.Name + " --site " + string(h.Site))
		}
	}
	old := now.Job
	switch {
	case j.Target.Site != h.Site:
		return "", cdp.Errorf(cdp.Invalid, opReprotect, r.Job, "it came from %s, and this is %s", j.Target.Site, h.Site).
			WithHint("ask at the site that it came from: --site " + string(j.Target.Site))
	case now.VMJob != nil || old != nil && old.Of != "":
		return "", nameTaken(j)
	case old == nil:
		return Write, nil
	case old.Reverses != nil && old.Reverses.Site == r.Site && old.Reverses.Job == r.Job && old.Reverses.Run == r.Run && old.Round() == j.Round():
		if run.Holds(*old) && run.Phase == recovery.Committed {
			return "", cdp.Errorf(cdp.Conflict, opReprotect, r.Job, "the job %s, which reverses it, was failed over itself", j.Name).
				WithHint("protect what runs now: tidemark reprotect " + j.Name)
		}
		return Present, nil
	case old.Round() >= j.Round() || !pairs(*old, j) && (before == nil || before.Site != h.Site || before.Job != old.Name):
		return "", nameTaken(j)
	case !run.Holds(*old) || run.Phase != recovery.Committed:
		return "", cdp.Errorf(cdp.Conflict, opReprotect, r.Job, "the job %s at %s is in the way: no failover of it was committed", j.Name, h.Site).
			WithHint("see: tidemark status " + j.Name + " --site " + string(h.Site))
	}
	return Replace, nil
}

func nameTaken(j spec.ReplicationJob) error {
	return cdp.Errorf(cdp.Conflict, opReprotect, j.Reverses.Job, "there is another job %s at %s", j.Name, j.Target.Site).
		WithHint("give the reversed job another name: --as NAME")
}

// pairs reports whether a job is an earlier round of one that reverses another: both
// replicate the same way.
func pairs(old, j spec.ReplicationJob) bool {
	return old.Source.Site == j.Source.Site && old.Target.Site == j.Target.Site
}

// Free is Conflict while somebody uses the disks that a reversed job would overwrite.
func Free(j spec.ReplicationJob, c *api.CaptureGroup) error {
	if c == nil || len(c.Clients) == 0 {
		return nil
	}
	return cdp.Errorf(cdp.Conflict, opReprotect, j.Reverses.Job, "its old disks at %s are in use, connected to them: %s", j.Target.Site, strings.Join(c.Clients, ", ")).
		WithHint("shut that machine down: it is not the one that runs since the failover, and what it writes is discarded")
}

// ReversedVM reports whether vm, the job on VMs of that name at a site, leads back as rev
// says; false: there is none, and it may be written. jobs are all jobs there.
func ReversedVM(name string, here cdp.Site, rev spec.Reverses, vm *spec.VMJob, jobs []spec.ReplicationJob) (bool, error) {
	for _, o := range jobs {
		switch {
		case o.Of != name && o.Retires(rev.Site, rev.Job, rev.Round-1):
			return false, cdp.Errorf(cdp.Conflict, opReprotect, rev.Job, "the job %s reverses it already", o.Name).
				WithHint("see how far it is: tidemark status " + o.Name + " --site " + string(here))
		case o.Name == name:
			return false, nameTaken(spec.ReplicationJob{Name: name, Reverses: &rev, Target: spec.Target{Site: here}})
		}
	}
	if vm != nil && (vm.Reverses == nil || !vm.Reverses.Same(rev)) {
		return false, nameTaken(spec.ReplicationJob{Name: name, Reverses: &rev, Target: spec.Target{Site: here}})
	}
	return vm != nil, nil
}

// ContinueVMs is Continue for a job on VMs.
func ContinueVMs(j spec.VMJob, now *spec.VMJob) spec.VMJob {
	if j.Reverses == nil && now != nil && now.SourceSite == j.SourceSite {
		j.Reverses = now.Reverses
	}
	return j
}
