package main

import (
	"context"
	"fmt"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/spec"
)

// vmJobStatus shows one job on VMs.
func (a *app) vmJobStatus(ctx context.Context, c *client.Client, out format, j spec.VMJob) error {
	h, err := c.VMJobStatus(ctx, j)
	if err != nil {
		return err
	}
	if out != "table" {
		return out.print(a.out, h, nil, nil)
	}
	say := func(what, format string, args ...any) {
		fmt.Fprintf(a.out, "%-12s %s\n", what, fmt.Sprintf(format, args...))
	}
	say("job", "%s", j.Name)
	say("state", "%s", h.State)
	say("objective", "%s", h.Objective)
	say("capture", "%s, from %s to %s", j.Source.Capture, j.SourceSite, j.TargetSite)
	say("history", "%s", h.History)
	for _, p := range h.Problems {
		say("problem", "%s", p.Text)
		if p.Do != "" {
			say("  do", "%s", p.Do)
		}
	}
	fmt.Fprintln(a.out)
	err = format("table").print(a.out, nil, []string{"vm", "job", "vm state", "state", "rpo now", "replica"}, func(add func(...any)) {
		for _, v := range h.VMs {
			add(v.VM, v.Group, v.Member, v.State, v.RPO, v.Replica)
		}
	})
	for _, v := range h.VMs {
		for _, p := range v.Problems {
			fmt.Fprintf(a.out, "\n%s\n", v.Named(p.Text))
			if p.Do != "" {
				fmt.Fprintf(a.out, "  do: %s\n", p.Do)
			}
		}
	}
	return err
}
