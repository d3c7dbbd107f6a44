package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/failoverrun"
)

// vmFlags choose VMs of a job on VMs.
type vmFlags struct {
	names    []string // in the order in which they are failed over
	all      bool
	parallel int
}

func (f *vmFlags) register(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.names, "vm", nil, "of a job on VMs: a VM that is meant, by its name or that of its own job; repeat it, the most important first")
	c.Flags().BoolVar(&f.all, "all", false, "of a job on VMs: all VMs; those of --vm first")
	c.Flags().IntVar(&f.parallel, "parallel", 4, "with --vm or --all: for how many VMs that is done at the same time")
}

// choose registers the flag of commands that take VMs one after the other.
func (f *vmFlags) choose(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.names, "vm", nil, "of a job on VMs: only this VM, by its name or that of its own job; repeat it")
}

func (f vmFlags) given() bool { return f.all || len(f.names) > 0 }

// pick is the jobs of the VMs that are meant, in the order in which they are failed over.
// members has the names of the VMs by their jobs, as far as they are known.
func (f vmFlags) pick(of string, known []string, members map[string]string) ([]string, error) {
	const op = "choose VMs"
	var out []string
	for _, name := range f.names {
		i := slices.IndexFunc(known, func(job string) bool { return job == name || job == of+"-"+name || members[job] == name })
		if i < 0 {
			return nil, cdp.Errorf(cdp.NotFound, op, of, "it has no VM %q: it has %s", name, strings.Join(known, ", "))
		}
		if slices.Contains(out, known[i]) {
			return nil, cdp.Errorf(cdp.Invalid, op, of, "%q is given twice", name)
		}
		out = append(out, known[i])
	}
	if f.all {
		for _, job := range known {
			if !slices.Contains(out, job) {
				out = append(out, job)
			}
		}
	}
	return out, nil
}

// chosen is the jobs of the VMs of a job on VMs that are meant.
func (a *app) chosen(ctx context.Context, c *client.Client, of string, f vmFlags) ([]string, error) {
	jobs, err := c.ProtectedVMs(ctx, of)
	if err != nil {
		return nil, err
	}
	var known []string
	for _, j := range jobs {
		known = append(known, j.Name)
	}
	names, err := f.pick(of, known, a.vmNames(ctx, c, of))
	if err == nil && len(names) == 0 {
		err = cdp.Errorf(cdp.NotFound, "choose VMs", of, "it has no VM yet").WithHint("see why: tidemark job status " + of)
	}
	return names, err
}

// vmNames are the names of the VMs of a job on VMs by their jobs, as far as the vcenter
// service of this site says: without them, the names of jobs do.
func (a *app) vmNames(ctx context.Context, c *client.Client, of string) map[string]string {
	names := map[string]string{}
	if states, err := c.VMJobStates(ctx, of); err == nil && states[of] != nil {
		for _, m := range states[of].Members {
			names[string(m.Group)] = m.VM
		}
	}
	return names
}

// failoverVMs fails over several VMs of a job, each with a run of its own: in the order
// that is asked for, and at most so many at the same time. One that fails stops no other;
// the error is that of the first in the order.
func (a *app) failoverVMs(ctx context.Context, c *client.Client, r failoverrun.Request, f failoverFlags) error {
	of, err := c.VMJob(ctx, r.Job)
	if err != nil {
		return err
	}
	if of == nil {
		return usage("--vm and --all are for jobs on VMs, and %s is none", r.Job)
	}
	names, err := a.chosen(ctx, c, of.Name, f.vms)
	if err != nil {
		return err
	}
	return a.eachVM(names, f.vms.parallel, f.out, "fail over", func(job string) (failoverrun.Run, error) {
		one := r
		one.Job = job
		return a.failoverOne(ctx, c, one, f)
	})
}

// eachVM does something about the run of each VM of a job, in their order and for at most so
// many at the same time. One that fails stops no other; the error is that of the first in the
// order.
func (a *app) eachVM(jobs []string, parallel int, out format, what string, do func(job string) (failoverrun.Run, error)) error {
	runs, errs := make([]failoverrun.Run, len(jobs)), make([]error, len(jobs))
	var say sync.Mutex
	var turns errgroup.Group
	turns.SetLimit(parallel)
	for i, job := range jobs {
		turns.Go(func() error {
			runs[i], errs[i] = do(job)
			say.Lock()
			defer say.Unlock()
			fmt.Fprintf(a.err, "  %d of %d  %s: %s\n", i+1, len(jobs), job, outcomeText(runs[i], errs[i]))
			return nil
		})
	}
	_ = turns.Wait() // each has its own error
	err := out.print(a.out, runs, []string{"job", "run", "state"}, func(add func(...any)) {
		for i, job := range jobs {
			add(job, runs[i].ID, outcomeText(runs[i], errs[i]))
		}
	})
	for i, failed := range errs {
		err = cmp.Or(err, cdp.Wrap(failed, what, jobs[i]))
	}
	return err
}

// failoverOne starts a run, and waits until its VM can be used unless nobody is to wait.
func (a *app) failoverOne(ctx context.Context, c *client.Client, r failoverrun.Request, f failoverFlags) (failoverrun.Run, error) {
	begun := failoverrun.Run{Request: r}
	asked, err := c.StartFailover(ctx, r)
	if err != nil || f.wait.no {
		return begun, err
	}
	run, err := c.FollowFailover(ctx, asked, f.ready, func(failoverrun.Run) {})
	if err != nil {
		return begun, err
	}
	if run.Phase == recovery.Failed {
		return run, cdp.Errorf(run.Kind, "failover", run.Job, "%s", run.Error).WithHint(run.Hint)
	}
	return run, nil
}

func outcomeText(run failoverrun.Run, err error) string {
	switch {
	case err != nil:
		return "failed: " + err.Error()
	case run.Phase == "":
		return "started"
	}
	return run.PhaseText()
}
