package failback

import (
	"cmp"
	"fmt"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

const op = "reprotect job"

// suffix is what the name of a reversed job ends with, if nobody names it.
const suffix = "-back"

// Want is what an operator may say of a reversed job.
type Want struct {
	// Name of the reversed job; empty: that of the job which this one reversed, or the
	// job's own with -back.
	Name string
	// Round is as Round takes it.
	Round int
	// To is the site that the machine is brought to; empty: the one that it came from.
	To cdp.Site
	// Disks are the replicas; none: the old disks, which hold a copy.
	Disks []spec.TargetDisk
	// Capture is inline, or tap with other disks; empty: inline.
	Capture cdp.CaptureMode
	// Listen is where the disks are served to the machine that runs now.
	Listen string
}

// Name is the name of the job that reverses another.
func Name(old spec.ReplicationJob, w Want) (string, error) {
	name := cmp.Or(w.Name, old.Name+suffix)
	switch {
	case w.Name == "" && w.Round > old.Round()+1: // the usual name is that of the job at the lost site
		name = fmt.Sprintf("%s-r%d", old.Name, w.Round)
	case w.Name == "" && old.Reverses != nil:
		name = old.Reverses.Job
	}
	if err := cdp.CheckName("job", name); err != nil {
		return "", cdp.Wrap(err, op, old.Name)
	}
	if name == old.Name {
		return "", cdp.Errorf(cdp.Invalid, op, old.Name, "%q: both directions must not have the same name", name)
	}
	return name, nil
}

// Committed says whether a job can be reversed: nil if a failover of it was committed,
// with which the machine moved to its target.
func Committed(old spec.ReplicationJob, run *failoverrun.Run) error {
	switch {
	case !run.Holds(old) || run.Mode != recovery.Production || run.Over() && run.Phase != recovery.Committed:
		return cdp.Errorf(cdp.Conflict, op, old.Name, "it was not failed over: the machine runs at %s", old.Source.Site).
			WithHint("see: tidemark failover status " + old.Name + " --site " + string(old.Target.Site))
	case run.Phase != recovery.Committed:
		return cdp.Errorf(cdp.Conflict, op, old.Name, "its failover %s is %s, and not final", run.ID, run.Phase).
			WithHint("make it final first: tidemark failover commit " + old.Name + " --site " + string(old.Target.Site))
	}
	return nil
}

// Reverse is the job that leads back from a committed failover of another. before is the
// round before of the job that it becomes, whose settings it takes; nil: there was none.
func Reverse(old spec.ReplicationJob, run *failoverrun.Run, before *spec.ReplicationJob, w Want) (spec.ReplicationJob, error) {
	var none spec.ReplicationJob
	if err := Committed(old, run); err != nil {
		return none, err
	}
	round, err := Round(old, w.Round)
	if err != nil {
		return none, err
	}
	name, err := Name(old, w)
	if err != nil {
		return none, err
	}
	j := spec.ReplicationJob{Name: name, RPO: old.RPO, FailIfRPOExceeds: old.FailIfRPOExceeds, Journal: old.Journal,
		Reverses: &spec.Reverses{Site: old.Target.Site, Job: old.Name, Run: run.ID, Round: round, OldDisks: len(w.Disks) == 0}}
	// A lock would keep the failover home from being committed until it is over, and a
	// commit policy is about failovers of the old job.
	j.Journal.Lock = 0
	listen := ""
	if before != nil {
		j.RPO, j.FailIfRPOExceeds, j.Journal, j.Failover, listen = before.RPO, before.FailIfRPOExceeds, before.Journal, before.Failover, before.Source.Listen
	}
	j.Source = spec.Source{Site: old.Target.Site, Capture: cmp.Or(w.Capture, cdp.Inline), Listen: cmp.Or(w.Listen, listen)}
	j.Target.Site = cmp.Or(w.To, old.Source.Site)
	if j.Target.Site != old.Source.Site && len(w.Disks) == 0 {
		return none, cdp.Errorf(cdp.Invalid, op, old.Name, "its old disks are at %s, not at %s: everything is sent to new ones", old.Source.Site, w.To).
			WithHint("name a new or empty one for each disk: --disk NAME=PATH")
	}
	if j.Source.Capture != cdp.Inline && (j.Source.Capture != cdp.Tap || j.Reverses.OldDisks) {
		return none, cdp.Errorf(cdp.Invalid, op, old.Name, "capture %q: must be inline, or tap with other disks than the old ones: the client of a tap sends everything", w.Capture)
	}
	for _, d := range old.Source.Disks {
		at := slices.IndexFunc(old.Target.Disks, func(t spec.TargetDisk) bool { return t.Name == d.Name })
		if at < 0 {
			return none, cdp.Errorf(cdp.Internal, op, old.Name, "the disk %s has no replica", d.Name)
		}
		to, err := replicaOf(d, w.Disks)
		if err != nil {
			return none, cdp.Wrap(err, op, old.Name)
		}
		j.Source.Disks = append(j.Source.Disks, spec.SourceDisk{Name: d.Name, Path: old.Target.Disks[at].Path, Size: d.Size})
		j.Target.Disks = append(j.Target.Disks, to)
	}
	if len(w.Disks) > len(j.Target.Disks) {
		return none, cdp.Errorf(cdp.Invalid, op, old.Name, "%d disks are given, and the job has %d", len(w.Disks), len(j.Target.Disks))
	}
	return j, nil
}

// replicaOf is where a disk goes: to the one that is given for it, or home.
func replicaOf(d spec.SourceDisk, given []spec.TargetDisk) (spec.TargetDisk, error) {
	if len(given) == 0 {
		if d.Path == "" {
			return spec.TargetDisk{}, cdp.Errorf(cdp.Conflict, "find the old disk", d.Name, "it had a tap without a path, so nobody knows where it is").
				WithHint("name a new or empty one for each disk: --disk " + d.Name + "=PATH")
		}
		return spec.TargetDisk{Name: d.Name, Path: d.Path}, nil
	}
	at := slices.IndexFunc(given, func(t spec.TargetDisk) bool { return t.Name == d.Name })
	if at < 0 {
		return spec.TargetDisk{}, cdp.Errorf(cdp.Invalid, "find the disk for", d.Name, "none is given, and either all disks go home or none").
			WithHint("--disk " + d.Name + "=PATH")
	}
	return given[at], nil
}
