package main

import (
	"fmt"
	"io"

	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/health"
)

// writeVMJob is the long form, for one job on VMs.
func writeVMJob(w io.Writer, h health.Job, j spec.VMJob) error {
	say := func(what, format string, args ...any) {
		fmt.Fprintf(w, "%-12s %s\n", what, fmt.Sprintf(format, args...))
	}
	say("job", "%s", j.Name)
	say("direction", "%s", j.Direction())
	say("state", "%s", paint(w, h.Level, string(h.State)))
	say("rpo now", "%s (objective %s)", h.RPO, h.Objective)
	say("capture", "%s", j.Source.Capture)
	say("history", "%s", h.History)
	for _, p := range h.Problems {
		say("problem", "%s", p.Text)
		if p.Do != "" {
			say("  do", "%s", p.Do)
		}
	}
	fmt.Fprintln(w)
	err := asTable.print(w, nil, []string{"vm", "job", "vm state", "state", "rpo now", "replica"}, func(add func(...any)) {
		for _, v := range h.VMs {
			add(v.VM, v.Group, v.Member, paint(w, v.Level, v.StateText()), v.RPO, v.Replica)
		}
	})
	for _, v := range h.VMs {
		for _, p := range v.Problems {
			fmt.Fprintf(w, "\n%s\n", wrap(w, v.Named(p.Text)))
			if p.Do != "" {
				fmt.Fprintf(w, "  do: %s\n", p.Do)
			}
		}
	}
	return err
}
