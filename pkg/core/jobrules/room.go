package jobrules

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// Room refuses a new job for which the spool of its source site has no room: the
// share of each job would be too small to be of use. Frames that wait there outlast a
// short loss of the link.
func Room(source cdp.Site, use api.SpoolUse) []api.Problem {
	var p problems
	if use.Groups >= use.Room {
		p.add(cdp.Conflict, "/spec/source/site", "room",
			"raise spool of that site in up.yaml, or delete a job of its disks",
			"the site %s captures %d jobs, and its spool of %d MiB has room for %d", source, use.Groups, use.Budget>>20, use.Room)
	}
	return p
}
