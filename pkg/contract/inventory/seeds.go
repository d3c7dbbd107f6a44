package inventory

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// CleanFile is a disk file's one way to be written: "[ds] dir/name.vmdk".
func CleanFile(file string) string {
	ds, p, ok := strings.Cut(strings.TrimSpace(file), "]")
	if !ok {
		return file
	}
	return ds + "] " + strings.TrimPrefix(path.Clean("/"+strings.TrimSpace(p)), "/")
}

// UsersOf are the VMs that have a file as one of their disks, or below one: what
// is written to it, they read.
func (inv Inventory) UsersOf(file string) []VM {
	file = CleanFile(file)
	is := func(f string) bool { return CleanFile(f) == file }
	var out []VM
	for _, v := range inv.VMs {
		if slices.ContainsFunc(v.Hardware.Disks, func(d Disk) bool { return is(d.File) || slices.ContainsFunc(d.Below, is) }) {
			out = append(out, v)
		}
	}
	return out
}

// checkSeeds finds seeds that are somebody's already: a seed becomes the
// replica's, and what it holds is overwritten.
func checkSeeds(s Situation) []Problem {
	var problems []Problem
	named := map[string]string{} // by file: the disk it is the seed of
	for _, v := range s.Members {
		for _, d := range s.Job.Source.Chosen(v) {
			i := s.Job.Target.seedOf(v, d)
			if i < 0 {
				continue
			}
			file := CleanFile(s.Job.Target.Seeds[i].File)
			what := fmt.Sprintf("%s of %s", v.Hardware.Address(d), v.Name)
			bad := func(format string, args ...any) {
				problems = append(problems, Problem{VM: v.Name, Path: fmt.Sprintf("/spec/target/seeds/%d/file", i), Rule: "in-use",
					Text: fmt.Sprintf("the seed %s of %s ", file, what) + fmt.Sprintf(format, args...)})
			}
			other := named[file]
			named[file] = what
			group, users := s.Replicas[file], s.Target.UsersOf(file)
			switch {
			case other != "":
				bad("is the seed of %s, too", other)
			case group != "" && group == s.Known[v.UUID]: // it has it by now
			case group != "":
				bad("is a disk of the replica %s already", group)
			case len(users) > 0:
				bad("is a disk of the VM %s: detach it there first, or name a copy of it", users[0].Path)
			}
		}
	}
	return problems
}
