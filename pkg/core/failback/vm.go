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

// Round is the round of a job that leads back from a failover of another: the next one, or a
// later one that is asked for because another job reverses the same failover at a site that
// is lost.
func Round(old spec.ReplicationJob, asked int) (int, error) {
	next := old.Round() + 1
	if asked != 0 && (asked < next || (asked-next)%2 != 0) {
		return 0, cdp.Errorf(cdp.Invalid, op, old.Name, "round %d: must be %d, or later by a multiple of 2", asked, next)
	}
	return cmp.Or(asked, next), nil
}

// VMName is the name of the job on VMs that leads back from the failover of a VM, unless
// as names it: each round has a job of its own, web-back, web-r2, web-r3.
func VMName(old spec.ReplicationJob, as string, round int) (string, error) {
	base, end := old.Name, suffix
	if old.Reverses != nil {
		base = rounds.ReplaceAllString(old.Of, "")
	}
	if round > 1 {
		end = fmt.Sprintf("-r%d", round)
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

// ReversesVM is what the job says that leads back to a site from a committed failover of a
// VM's job: to the VM that it came from, or to a new one, which any site can have.
func ReversesVM(old spec.ReplicationJob, run *failoverrun.Run, to cdp.Site, anew bool, round int) (spec.Reverses, error) {
	if err := Committed(old, run); err != nil {
		return spec.Reverses{}, err
	}
	if run.VM == nil || run.VM.UUID == "" {
		return spec.Reverses{}, cdp.Errorf(cdp.Conflict, op, old.Name, "which VM its failover %s started is not recorded: it gave the disks only, or was made by an older version", run.ID).
			WithHint("protect that VM with a new job on VMs")
	}
	r := spec.Reverses{Site: old.Target.Site, Job: old.Name, Run: run.ID, Round: round}
	if !anew {
		r.OldDisks, r.VM = true, old.Source.VM
	}
	if old.Reverses != nil && to == old.Source.Site {
		r.Before = old.Reverses.Job
	}
	return r, nil
}
