package jobrules

import (
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/failoverrun"
)

const opDelete = "delete job"

// Deletable says whether a job may be deleted: Conflict while it runs. The groups
// it consists of have rules of their own: see Idle.
func Deletable(job string, running bool) error {
	if running {
		return cdp.Errorf(cdp.Conflict, opDelete, job, "it is running").WithHint("stop it first: tidemark job stop " + job)
	}
	return nil
}

// Released says whether the job of a VM may be deleted: Conflict while its job on
// VMs selects the VM.
func Released(j spec.ReplicationJob, selected bool) error {
	if !selected {
		return nil
	}
	text, hint := derivedText(j)
	return cdp.Errorf(cdp.Conflict, opDelete, j.Name, "%s", text).WithHint(hint)
}

// Idle is Conflict while a failover run needs a group; nil is no run. A failed run
// of a VM may be left as it is: the VM may be gone, which only the vcenter service
// knows, and it checks.
func Idle(group string, run *failoverrun.Run, ofVM bool) error {
	if run == nil || run.Over() || ofVM && run.Phase == recovery.Failed {
		return nil
	}
	return cdp.Errorf(cdp.Conflict, opDelete, group, "the failover run %s is %s", run.ID, run.Phase).
		WithHint("end it first: see tidemark failover status " + group)
}

// Settled is Conflict while a failover still has something to do at a group's source: a
// source that returns asks its copy of the job whether it may touch the VM, so that
// without the job nothing is done, and two VMs could run.
func Settled(group string, run *failoverrun.Run) error {
	if run == nil || run.Old == nil || run.Old.Done {
		return nil
	}
	return cdp.Errorf(cdp.Conflict, opDelete, group, "its failover %s is not settled: %s", run.Old.Run, run.OldText()).
		WithHint("wait until the site " + string(run.Old.Site) + " answers; if it is lost for good, or you have seen to its VM yourself: --forget-owed")
}

// Unused is Conflict if exports of a group are open: somebody reads its points.
func Unused(group string, open []api.Export) error {
	if len(open) == 0 {
		return nil
	}
	var in []string
	for _, x := range open {
		text := x.ID
		if len(x.Clients) > 0 {
			text += " (connected: " + strings.Join(x.Clients, ", ") + ")"
		}
		in = append(in, text)
	}
	slices.Sort(in)
	return cdp.Errorf(cdp.Conflict, opDelete, group, "it has open exports: %s", strings.Join(in, ", ")).
		WithHint("close them first: tidemark export close " + group + " ID, or use --force, which closes them")
}

// Pointless is Conflict if a group has recovery points.
func Pointless(group string, points int) error {
	if points == 0 {
		return nil
	}
	return cdp.Errorf(cdp.Conflict, "count recovery points", group, "%d would be lost", points).WithHint("if that is meant: --yes")
}
