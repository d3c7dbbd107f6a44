package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/core/health"
)

func (a *app) cmdStatus() *cobra.Command {
	return a.statusCommand("status [JOB]", "Show whether everything is protected, and what to do if it is not",
		"  tidemark status\n  tidemark status web\n  tidemark status --watch\n  tidemark status --check -o json")
}

// statusFlags are the options of a command that shows how well jobs are protected.
type statusFlags struct {
	out   format
	check bool
	watch watchFlags
}

func (a *app) statusCommand(use, short, example string) *cobra.Command {
	var f statusFlags
	c := &cobra.Command{
		Use: use, Short: short, Example: example, Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.complete(jobNames),
		Long: long(short + `.

The RPO is what would be lost if the source failed now, with its greatest error, or
"no data" if it is not known. It may exceed its objective by a quarter, at least 1 s and
at most 1 min, before that counts as a breach. The state of a job on VMs is that of its
worst VM, and so is its RPO.

With --check the exit code is the worst of all that is shown:
  0  all within objective
  1  warning: recovery points are there, but something needs attention
  2  not protected: nothing can be recovered, no new points are made, or that is not
     known`),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(c.Context(), func(ctx context.Context, cl *client.Client) error {
				name := ""
				if len(args) > 0 {
					name = args[0]
				}
				level := health.OK
				err := a.watch(ctx, f.watch, func(w io.Writer) (err error) {
					level, err = showStatus(ctx, w, cl, f.out, name)
					return err
				})
				if err == nil && f.check && level != health.OK {
					return verdict(level)
				}
				return err
			})
		},
	}
	f.out.register(c)
	f.watch.register(c)
	c.Flags().BoolVar(&f.check, "check", false, "let the exit code say how well everything is protected")
	return c
}

// showStatus shows one job, or all without a name, and says how urgent it is.
func showStatus(ctx context.Context, w io.Writer, c *client.Client, out format, name string) (health.Level, error) {
	vmJob, err := c.VMJob(ctx, name)
	switch {
	case err != nil:
		return health.NotProtected, err
	case vmJob != nil:
		j, err := c.VMJobStatus(ctx, *vmJob)
		if err != nil {
			return health.NotProtected, err
		}
		return j.Level, out.facts(w, j, j.Job, func() error { return writeVMJob(w, j, *vmJob) })
	case name != "":
		g, err := c.GroupStatus(ctx, name)
		if err != nil {
			return health.NotProtected, err
		}
		return g.Level, out.facts(w, []health.Group{g}, g.Job, func() error { writeHealth(w, g); return nil })
	}
	var persons client.Approvers
	var asked sync.WaitGroup
	if out.text() {
		asked.Go(func() { persons = c.Approvers(ctx) })
	}
	all, err := c.Status(ctx)
	asked.Wait()
	if err != nil {
		return health.NotProtected, err
	}
	err = overview(w, c, out, all)
	if p := persons.Problem(); p != "" && err == nil {
		_, err = fmt.Fprintf(w, "\n%s\n  do: %s\n", wrap(w, p), approversHint)
	}
	return health.Worst(all), err
}

// approversHint is how the machines of a site come to name the same persons.
const approversHint = "give each machine of the site the same approvers, in up.yaml or with --approver, and restart it"

// overview is one line per job, those of VMs below theirs, and then what needs
// attention.
func overview(w io.Writer, c *client.Client, out format, all []health.Job) error {
	if len(all) == 0 && out.text() {
		fmt.Fprintf(w, "No jobs at site %s. Create one with: tidemark apply -f FILE\n", c.Site())
		return nil
	}
	head := []string{"job", "state", "rpo", "newest", "journal", "+direction", "+clock error", "newest at", "history", "space"}
	err := out.print(w, all, head, func(add func(...any)) {
		for _, h := range all {
			state := paint(w, h.Level, h.StateText())
			switch {
			case h.VMs != nil:
				add(h.Job, state, h.RPOText(), count(len(h.VMs), "VM"), "", h.Direction)
				continue
			case h.Of != "":
				h.Job = "  " + h.Job
			}
			add(h.Job, state, h.RPOText(), h.NewestID(), h.JournalShare(), h.Direction, h.ErrorText(), h.NewestTime(), h.History, h.JournalSize())
		}
	})
	if !out.text() {
		return err
	}
	if out == asTable {
		writeDirections(w, all)
	}
	for _, h := range all {
		for _, p := range h.Problems {
			fmt.Fprintf(w, "\n%s\n", wrap(w, h.Job+": "+p.Text))
			if p.Do != "" {
				fmt.Fprintf(w, "  do: %s\n", p.Do)
			}
		}
	}
	return err
}

// writeDirections says below the overview, which has no room for it, which jobs replicate
// from where to where. The jobs of all directions but the most common one are named.
func writeDirections(w io.Writer, all []health.Job) {
	var order []string
	jobs := map[string][]string{}
	for _, h := range all {
		if h.Direction == "" || h.Of != "" { // a VM goes where its job does
			continue
		}
		if jobs[h.Direction] == nil {
			order = append(order, h.Direction)
		}
		jobs[h.Direction] = append(jobs[h.Direction], h.Job)
	}
	if len(order) == 0 {
		return
	}
	slices.SortStableFunc(order, func(a, b string) int { return cmp.Compare(len(jobs[a]), len(jobs[b])) })
	fmt.Fprintln(w)
	last := len(order) - 1
	for _, d := range order[:last] {
		fmt.Fprintln(w, wrap(w, d+": "+strings.Join(jobs[d], ", ")))
	}
	which := "all jobs"
	if last > 0 {
		which = "all other jobs"
	}
	fmt.Fprintf(w, "%s: %s\n", order[last], which)
}
