package vmpolicy

import (
	"fmt"
	"slices"
	"strings"

	"tidemark.dev/pkg/contract/inventory"
)

// oddNames has the characters that a vCenter escapes in a datastore's name, or that end
// the name in a path.
const oddNames = "[]%/\\"

// checkDatastoreNames warns of datastores of a source VM whose names are written in one
// way here and in another way there. Its disks are read by the paths that the vCenter
// gives, which is right wherever it takes them back as it gave them.
func checkDatastoreNames(j inventory.Job, v inventory.VM) (problems []inventory.Problem) {
	var seen []string
	for _, d := range j.Source.Chosen(v) {
		for _, file := range append([]string{d.File}, d.Below...) {
			name := inventory.DatastoreName(file)
			if !strings.ContainsAny(name, oddNames) || slices.Contains(seen, name) {
				continue
			}
			seen = append(seen, name)
			problems = append(problems, inventory.Problem{VM: v.Name, Path: "/spec/source/vms", Rule: "datastore-name", Warning: true,
				Text: fmt.Sprintf("%s is on the datastore %q, whose name has a bracket, slash, backslash or percent sign: if its first pass cannot attach it, rename the datastore", d.Label, name)})
		}
	}
	return problems
}
