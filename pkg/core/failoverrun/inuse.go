package failoverrun

import (
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/recovery"
)

// Unused says whether a run can end in g without taking disks from under somebody.
// Conflict if a client uses the run's disks, whose last writes may be missing from a
// commit and are discarded by an undo or a cleanup; and, for a commit, if an export
// of a point is open, for a commit ends the points.
func Unused(r Run, g recovery.Goal, open []api.Export) error {
	var in []string
	for _, x := range open {
		switch {
		case x.ID == r.ExportID() && len(x.Clients) > 0:
			in = append(in, "connected to the run's disks: "+strings.Join(x.Clients, ", "))
		case x.ID == r.ExportID() || g != recovery.Commit:
		case len(x.Clients) > 0:
			in = append(in, connected(x))
		default:
			in = append(in, fmt.Sprintf("the export %s is open", x.ID))
		}
	}
	if len(in) == 0 {
		return nil
	}
	slices.Sort(in)
	hint := "shut the machine down and close the exports first, or use --force, which disconnects them"
	if g != recovery.Commit {
		hint = "what was written to the run's disks is discarded: shut the machine down first, or use --force, which disconnects it"
	}
	return cdp.Errorf(cdp.Conflict, string(g)+" failover", r.Job, "it is in use: %s", strings.Join(in, "; ")).WithHint(hint)
}

// connected says who uses an export.
func connected(x api.Export) string {
	return fmt.Sprintf("the export %s is open, and connected to it: %s", x.ID, strings.Join(x.Clients, ", "))
}

// Undisturbed says whether a production failover can begin without taking disks from
// under somebody: Conflict if a client reads a point of the group, or if the failover
// is planned and a client uses the disks at the source, whose next writes would be in
// no point. source is empty where the source is not asked.
func Undisturbed(r Request, open []api.Export, source []string) error {
	var in []string
	for _, x := range open {
		if len(x.Clients) > 0 {
			in = append(in, connected(x))
		}
	}
	slices.Sort(in)
	hint := "close the exports first: tidemark export close " + r.Job + " ID, or use --force, which leaves them open until the commit"
	if len(source) > 0 {
		in = append(in, "connected to the source's disks: "+strings.Join(source, ", "))
		hint = "shut the machine at the source down first: what it writes after the last point is lost; --force goes on all the same"
	}
	if len(in) == 0 {
		return nil
	}
	return cdp.Errorf(cdp.Conflict, "start failover", r.Job, "the job is in use: %s", strings.Join(in, "; ")).WithHint(hint)
}
