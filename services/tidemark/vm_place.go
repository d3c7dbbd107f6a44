package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/failback"
)

// placeFlags say where a machine is brought that does not go back to where it came from.
type placeFlags struct {
	to              string
	target          inventory.JobTarget
	networks, seeds []string
}

func (f *placeFlags) register(c *cobra.Command) {
	p := c.Flags()
	p.StringVar(&f.to, "to", "", "the site that the machine is brought to (default: the one that it came from)")
	p.StringVar(&f.target.Host, "host", "", "of a VM: make a new one on this host, instead of the VM that it came from")
	p.StringVar(&f.target.Cluster, "cluster", "", "of a VM: likewise, on a host of this cluster")
	p.StringVar(&f.target.Datastore, "datastore", "", "with --host or --cluster: where the disks of the new VM are made")
	p.StringVar(&f.target.Folder, "folder", "", "with --host or --cluster: the folder of the new VM")
	p.StringVar(&f.target.Pool, "pool", "", "with --host or --cluster: its resource pool")
	p.StringVar(&f.target.Suffix, "suffix", "", "with --host or --cluster: its name is that of the VM that runs now with this (default -home)")
	p.StringArrayVar(&f.networks, "network", nil, "FROM=TO: with --host or --cluster: connect cards on FROM, where the VM runs now, to TO")
	p.StringArrayVar(&f.seeds, "seed", nil, "DISK=FILE: a file, as [datastore] folder/name.vmdk, that holds a copy of the disk, as scsi0:0: it is compared and overwritten where it differs, and no disk is made")
}

// place is where a new VM is made; nil: none is asked for.
func (f placeFlags) place() (*inventory.JobTarget, error) {
	t := f.target
	for _, x := range f.networks {
		from, to, ok := strings.Cut(x, "=")
		if !ok || from == "" || to == "" {
			return nil, usage("--network %q: write FROM=TO", x)
		}
		t.Networks = append(t.Networks, inventory.NetworkMap{From: from, To: to})
	}
	for _, x := range f.seeds {
		disk, file, ok := strings.Cut(x, "=")
		if !ok || disk == "" || file == "" {
			return nil, usage("--seed %q: write DISK=FILE", x)
		}
		t.Seeds = append(t.Seeds, inventory.Seed{DiskRef: inventory.DiskRef{Disk: disk}, File: file})
	}
	switch placed := t.Host != "" || t.Cluster != ""; {
	case t.Host != "" && t.Cluster != "":
		return nil, usage("use either --host or --cluster, not both")
	case placed != (t.Datastore != ""):
		return nil, usage("a new VM needs --host or --cluster, and --datastore")
	case !placed && (t.Folder != "" || t.Pool != "" || t.Suffix != "" || len(t.Networks) > 0 || len(t.Seeds) > 0):
		return nil, usage("--folder, --pool, --suffix, --network and --seed are for a new VM: use --host or --cluster, and --datastore")
	case !placed:
		return nil, nil
	}
	return &t, nil
}

// goingTo is seenOf for a machine that is to go to another site than the one that it came
// from. A job that leads elsewhere already has to be ended first, unless its site is lost:
// then the failover that it leads back from is reversed once more, in a later round.
func (a *app) goingTo(ctx context.Context, c *client.Client, name string, f *reprotectFlags) (failback.Seen, error) {
	const op = "reprotect job"
	seen, err := a.seenOf(ctx, c, name)
	f.Round = 0
	j := seen.Job
	if f.To == "" || !seen.Reversed() || j.Round()%2 == 0 || j.Target.Site == f.To {
		return seen, err
	}
	at := string(j.Target.Site)
	if err == nil {
		return seen, cdp.Errorf(cdp.Conflict, op, name, "the job %s leads back to %s already", j.Name, at).
			WithHint("end it first: tidemark job stop " + j.Name + " --site " + at + "; tidemark delete job " + j.Name + " --site " + at)
	}
	if !f.Yes {
		return seen, cdp.Errorf(cdp.Conflict, op, name, "the job %s leads back to %s already, and that site does not answer: %w", j.Name, at, err).
			WithHint("if that site is lost: --yes. Should it return, " + j.Name + " goes on beside the new job until it is deleted there")
	}
	f.Round = j.Round() + 2
	return c.FailedOver(ctx, *j.Reverses)
}
