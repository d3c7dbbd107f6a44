package failback

import (
	"cmp"
	"fmt"
	"regexp"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

// rounds are the endings of the names that VMName makes.
var rounds = regexp.MustCompile(`-(back|r[0-9]+)$`)

// VMName is the name of the job on VMs that leads back from the failover of a VM, unless
// as names it: each round has a job of its own, web-back, web-r2, web-r3.
func VMName(old spec.ReplicationJob, as string) (string, error) {
	base, end := old.Name, suffix
	if old.Reverses != nil {
		base, end = rounds.ReplaceAllString(old.Of, ""), fmt.Sprintf("-r%d", old.Round()+1)
	}
	name := cmp.Or(as, base+end)
	if err := cdp.CheckName("job", name); err != nil {
		return "", cdp.Errorf(cdp.Invalid, op, old.Name, "the reversed job cannot be called %q: %w", name, err).WithHint("give it another name: --as NAME")
	}
	if name == old.Name || name == old.Of {
		return "", cdp.Errorf(cdp.Invalid, op, old.Name, "%q: both directions must not have the same name", name)
	}
	return name, nil
}

// ReversesVM is what the job says that leads back from a committed failover of a VM's job.
func ReversesVM(old spec.ReplicationJob, run *failoverrun.Run) (spec.Reverses, error) {
	if err := Committed(old, run); err != nil {
		return spec.Reverses{}, err
	}
	if run.VM == nil || run.VM.UUID == "" {
		return spec.Reverses{}, cdp.Errorf(cdp.Conflict, op, old.Name, "which VM its failover %s started is not recorded: it gave the disks only, or was made by an older version", run.ID).
			WithHint("protect that VM with a new job on VMs")
	}
	r := spec.Reverses{Site: old.Target.Site, Job: old.Name, Run: run.ID, Round: old.Round() + 1, OldDisks: true, VM: old.Source.VM}
	if old.Reverses != nil {
		r.Before = old.Reverses.Job
	}
	return r, nil
}
