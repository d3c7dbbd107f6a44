package jobrules

import (
	"strings"

	"tidemark.dev/pkg/contract/spec"
)

// Shorter says in what a job's journal is to keep less than it does; empty: in nothing.
func Shorter(j, was spec.Journal) string {
	var in []string
	if j.History < was.History {
		in = append(in, "history "+was.History.String()+" to "+j.History.String())
	}
	if j.Size != 0 && (was.Size == 0 || j.Size < was.Size) {
		from := "no limit"
		if was.Size != 0 {
			from = was.Size.String()
		}
		in = append(in, "size "+from+" to "+j.Size.String())
	}
	return strings.Join(in, ", ")
}
