package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/services/node"
)

func (a *app) cmdRepair() *cobra.Command {
	var out format
	var how node.RepairOptions
	c := &cobra.Command{
		Use: "repair JOB", Short: "Mend the damaged journal of a job, with its service stopped", Args: cobra.ExactArgs(1),
		Long: long(`Find what is damaged in the store of a job's journal, and say which recovery points
it costs. Run this on the machine of the journal, with tidemark up or the journal
service stopped. Without --write nothing is changed. Most damage needs no repair: the
journal's service mends it, or opens the journal without what was damaged, and says so.

With --write what can be read is kept: history ends before the first damage that the
replica has not passed. The mended store takes the old one's place once all of it
reads back; the old one is kept beside it, and its path is printed. When the service
runs again the source sends what the journal lacks, which compares or copies the disks.

Some damage cannot be mended: of a file and of its copy, as of the list of tables
(MANIFEST and manifest-copy). With --anew the history is given up then, and the replica is kept: the source
compares the disks with it and sends what differs. There are no recovery points until
that is complete, so first export what you need from another copy. A job that has been
failed over is refused.`),
		Example: `  tidemark repair web
  tidemark repair web --site dr --dir /var/lib/tidemark --write
  tidemark repair web --anew --write`,
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := node.Repair(a.conn.directory(), cdp.Site(a.conn.site), args[0], how)
			if err != nil {
				return err
			}
			return out.facts(a.out, r, args[0], func() error { a.sayRepaired(args[0], r, how); return nil })
		},
	}
	out.register(c)
	c.Flags().BoolVar(&how.Write, "write", false, "mend it")
	c.Flags().BoolVar(&how.Anew, "anew", false, "give up a history that cannot be mended, and keep the replica")
	return c
}

// sayRepaired prints what a repair found for people.
func (a *app) sayRepaired(job string, r node.Repaired, how node.RepairOptions) {
	if len(r.Found) == 0 {
		fmt.Fprintf(a.out, "nothing is damaged; %d recovery points\n", r.Points)
		return
	}
	for _, f := range r.Found {
		fmt.Fprintln(a.out, "damaged:", plain(f))
	}
	for _, l := range r.Losses {
		fmt.Fprintln(a.out, "lost:   ", plain(l.String()))
	}
	fmt.Fprintf(a.out, "left:    %d recovery points\n", r.Points)
	if r.Anew {
		fmt.Fprintln(a.out, "the history cannot be mended: it begins anew, and the source compares the disks with the kept replica")
	}
	switch {
	case r.Kept != "":
		fmt.Fprintf(a.out, "mended; the damaged store is kept in %s: delete it once you do not need it\n", r.Kept)
	case !how.Write && r.Anew:
		fmt.Fprintf(a.out, "nothing was changed; to mend it: tidemark repair %s --write --anew\n", job)
	case !how.Write:
		fmt.Fprintf(a.out, "nothing was changed; to mend it: tidemark repair %s --write\n", job)
	default:
		fmt.Fprintln(a.out, "there is nothing to mend: only what needs the damaged frames cannot be read")
	}
}
