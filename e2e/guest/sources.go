package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// aptSources picks the machine's own package sources: the guest is built from
// the mirror the machine is allowed to reach. Debian 12 has them in
// sources.list.d/debian.sources or, after an upgrade, in sources.list. Other
// vendors' sources are left out: their keys and packages do not belong in a
// guest.
func aptSources(etc string) ([]string, error) {
	if list := os.Getenv("TIDEMARK_APT_SOURCES"); list != "" {
		return filepath.SplitList(list), nil
	}
	var found []string
	for _, name := range []string{"sources.list", "sources.list.d/debian.sources", "sources.list.d/debian.list"} {
		path := filepath.Join(etc, name)
		b, err := os.ReadFile(path)
		if err == nil && namesSuite(string(b)) {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no apt source for Debian %s in %s: set TIDEMARK_APT_SOURCES to a sources file", suite, etc)
	}
	return found, nil
}

// namesSuite tells whether an apt source file, in either of apt's formats, has
// the guest's suite outside of comments.
func namesSuite(sources string) bool {
	for line := range strings.Lines(sources) {
		line, _, _ = strings.Cut(line, "#")
		for _, word := range strings.Fields(line) {
			if word == suite {
				return true
			}
		}
	}
	return false
}
