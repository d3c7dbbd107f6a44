package vmpolicy

import (
	"fmt"

	"tidemark.dev/pkg/contract/inventory"
)

// checkSeeds finds seeds that are in use: a seed becomes the replica's disk and is
// overwritten.
func checkSeeds(s Situation, dc inventory.Ref) []inventory.Problem {
	var problems []inventory.Problem
	named := map[string]string{} // by file: the disk it is the seed of
	for _, v := range s.Members {
		for _, d := range s.Job.Source.Chosen(v) {
			i := s.Job.Target.SeedIndex(v, d)
			if i < 0 {
				continue
			}
			file := inventory.CleanFile(s.Job.Target.Seeds[i].File)
			what := fmt.Sprintf("%s of %s", v.Hardware.Address(d), v.Name)
			bad := func(format string, args ...any) {
				problems = append(problems, inventory.Problem{VM: v.Name, UUID: v.UUID, Path: fmt.Sprintf("/spec/target/seeds/%d/file", i), Rule: "in-use",
					Text: fmt.Sprintf("the seed %s of %s ", file, what) + fmt.Sprintf(format, args...)})
			}
			other := named[file]
			named[file] = what
			group, users := s.Replicas[file], s.Target.UsersOf(dc, file, "")
			switch {
			case other != "":
				bad("is also the seed of %s", other)
			case group != "" && group == s.Known[v.UUID]: // its own replica has it by now
			case group != "":
				bad("is already a disk of the replica %s", group)
			case len(users) > 0:
				bad("is a disk of the VM %s: detach it there first, or name a copy of it", users[0].Path)
			}
		}
	}
	return problems
}
