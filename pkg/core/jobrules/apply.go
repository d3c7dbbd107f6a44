package jobrules

import (
	"fmt"
	"reflect"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// Stored is what is stored under a job's name.
type Stored struct {
	Job   *spec.ReplicationJob // nil: none
	VMJob *spec.VMJob          // nil: none
	// Running: the job runs, or may run.
	Running bool
}

// Here is the site that a job is applied at.
type Here struct {
	Site cdp.Site
	// Links are the sites that it has links with.
	Links []cdp.Site
}

// Disks gives the change that a job of disks makes, and all that refuses it.
func (h Here) Disks(j spec.ReplicationJob, now Stored) (api.Change, []api.Problem) {
	var p problems
	switch {
	case now.Job != nil && now.Job.Of != "":
		return "", []api.Problem{derived(*now.Job)}
	case now.VMJob != nil:
		p.add(cdp.Conflict, "/metadata/name", "unique", "give it another name", "it is the name of a job on VMs")
	}
	h.sites(&p, j.Source.Site, j.Target.Site)
	p.directionStays(j.Reverses, reversesOf(now))
	change := changeOf(now.Job, j)
	if change != api.Changed {
		return change, p
	}
	p.disksStay(j, *now.Job)
	p.lockStays(j.Journal, now.Job.Journal)
	if now.Running && j.Source.Capture != now.Job.Source.Capture {
		p.add(cdp.Conflict, "/spec/source/capture", "running", "stop it first: tidemark job stop "+j.Name, "capture cannot be changed while the job runs")
	}
	return change, p
}

// VMs is Disks for a job on VMs.
func (h Here) VMs(j spec.VMJob, now Stored) (api.Change, []api.Problem) {
	var p problems
	switch {
	case now.Job != nil && now.Job.Of != "":
		return "", []api.Problem{derived(*now.Job)}
	case now.Job != nil:
		p.add(cdp.Conflict, "/metadata/name", "unique", "give it another name", "it is the name of a job of disks")
	}
	h.sites(&p, j.SourceSite, j.TargetSite)
	p.directionStays(j.Reverses, reversesOf(now))
	change := changeOf(now.VMJob, j)
	if change != api.Changed {
		return change, p
	}
	p.lockStays(j.Journal, now.VMJob.Journal)
	if j.SourceSite != now.VMJob.SourceSite || j.TargetSite != now.VMJob.TargetSite {
		p.add(cdp.Conflict, "/spec", "immutable", "describe another job", "the sites of a job on VMs cannot be changed: its replicas stay where they are")
	}
	if now.Running && j.Source.Capture != now.VMJob.Source.Capture {
		p.add(cdp.Conflict, "/spec/source/capture", "running", "stop it first: tidemark job stop "+j.Name, "capture cannot be changed while the job runs")
	}
	return change, p
}

// Group says whether the job of a VM may be written; nil if it may.
func (h Here) Group(j spec.ReplicationJob, now Stored) error {
	const op = "apply job"
	switch {
	case j.Of == "":
		return cdp.Errorf(cdp.Invalid, op, j.Name, "it does not say which job on VMs it belongs to")
	case j.Target.Site != h.Site:
		return cdp.Errorf(cdp.Invalid, op, j.Name, "its target is the site %s, and this is %s", j.Target.Site, h.Site)
	case now.VMJob != nil, now.Job != nil && now.Job.Of != j.Of:
		return cdp.Errorf(cdp.Conflict, op, j.Name, "there is another job of that name")
	}
	return j.CheckKey(j.Name)
}

// sites checks that a job's target is this site and that its source can be
// reached from here.
func (h Here) sites(p *problems, source, target cdp.Site) {
	if target != h.Site {
		p.add(cdp.Invalid, "/spec/target/site", "site", "apply the job at its target: tidemark apply --site "+string(target),
			"%q: the site asked is %s, and a job is applied at its target site", target, h.Site)
	}
	if source != h.Site && !slices.Contains(h.Links, source) {
		p.add(cdp.Invalid, "/spec/source/site", "site", "", "%q: the sites are %s", source, h.all())
	}
}

// all names the sites that it has links with, and this one.
func (h Here) all() string {
	names := slices.Clone(h.Links)
	slices.Sort(names)
	text := ""
	for i, n := range names {
		if i > 0 {
			text += ", "
		}
		text += string(n)
	}
	if text == "" {
		return string(h.Site)
	}
	return text + " and " + string(h.Site)
}

func changeOf[T any](old *T, v T) api.Change {
	switch {
	case old == nil:
		return api.Created
	case reflect.DeepEqual(*old, v):
		return api.Unchanged
	}
	return api.Changed
}

// derived refuses to change the job of a VM by hand.
func derived(j spec.ReplicationJob) api.Problem {
	text, hint := derivedText(j)
	return api.Problem{Kind: cdp.Conflict, Rule: "derived", Text: text, Hint: hint}
}

func derivedText(j spec.ReplicationJob) (text, hint string) {
	return fmt.Sprintf("it was made for a VM of the job %s, and changes with that job only", j.Of),
		"to leave the VM out, change source.vms (tidemark get job " + j.Of + " -o yaml); then release the VM: tidemark delete job " + j.Name + " --yes"
}

// problems collects what refuses a job.
type problems []api.Problem

func (p *problems) add(kind cdp.Kind, path, rule, hint, format string, args ...any) {
	*p = append(*p, api.Problem{Kind: kind, Path: path, Rule: rule, Text: fmt.Sprintf(format, args...), Hint: hint})
}
