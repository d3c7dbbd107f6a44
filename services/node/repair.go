package node

import (
	"fmt"
	"path/filepath"

	"tidemark.dev/pkg/adapter/pebblestore"
	"tidemark.dev/pkg/cdp"
)

// Repaired is what a repair found, and what is left. RepairOptions say what it may do.
type (
	Repaired      = pebblestore.Repaired
	RepairOptions = pebblestore.RepairOptions
)

// Repair mends the journal of a job in the directory of `tidemark up` or of a journal
// service, which must not be running. Where several sites have such a journal, site says
// which is meant; it may be empty.
func Repair(dir string, site cdp.Site, job string, how RepairOptions) (Repaired, error) {
	const op = "repair journal"
	if err := cdp.CheckName("job", job); err != nil {
		return Repaired{}, cdp.Wrap(err, op, job)
	}
	in := "*"
	if site != "" {
		in = string(site)
	}
	var found []string
	for _, pattern := range []string{filepath.Join(dir, "journal", "store", job), filepath.Join(dir, in, "journal", "store", job)} {
		at, err := filepath.Glob(pattern)
		if err != nil {
			return Repaired{}, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: dir, Cause: err}
		}
		found = append(found, at...)
	}
	switch len(found) {
	case 0:
		return Repaired{}, cdp.Errorf(cdp.NotFound, op, job, "there is no journal of this job below %s", dir).
			WithHint("name the directory of the site that is its target: --dir")
	case 1:
		return pebblestore.Repair(filepath.Dir(found[0]), cdp.GroupID(job), how)
	}
	return Repaired{}, cdp.Errorf(cdp.Invalid, op, job, "there are several journals of this name: %s", fmt.Sprint(found)).
		WithHint("name the site: --site")
}
