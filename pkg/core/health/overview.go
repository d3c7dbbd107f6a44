package health

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// Overview puts the verdicts on groups and jobs in the order in which operators
// read them: jobs on disks, then each job on VMs with the groups of its VMs below
// it, then groups whose job on VMs is gone. The facts of a job on VMs need no
// Groups.
func Overview(groups []Group, jobs []VMFacts) []Job {
	var out []Job
	byJob := map[string][]Group{}
	for _, g := range groups {
		if g.Of == "" {
			out = append(out, Job{Group: g})
			continue
		}
		byJob[g.Of] = append(byJob[g.Of], g)
	}
	for _, f := range jobs {
		f.Groups = byJob[f.Job.Name]
		delete(byJob, f.Job.Name)
		MarkGone(f.Groups, f.State)
		out = append(out, JudgeVMs(f).withProblems(f.Groups))
		out = appendGroups(out, f.Groups)
	}
	for _, name := range slices.Sorted(maps.Keys(byJob)) {
		out = appendGroups(out, byJob[name])
	}
	return out
}

func appendGroups(out []Job, groups []Group) []Job {
	for _, g := range groups {
		out = append(out, Job{Group: g})
	}
	return out
}

// withProblems adds those problems of a job's VMs that the groups, which are
// shown below it, do not have.
func (j Job) withProblems(groups []Group) Job {
	for _, v := range j.VMs {
		i := slices.IndexFunc(groups, func(g Group) bool { return g.Job == v.Group })
		for _, p := range v.Problems {
			if i < 0 || !slices.Contains(groups[i].Problems, p) {
				j.Problems = append(j.Problems, Problem{v.Named(p.Text), p.Do})
			}
		}
	}
	return j
}

// Named is a problem's text with the VM's name before it.
func (v VM) Named(text string) string {
	if strings.HasPrefix(text, v.VM+": ") {
		return text
	}
	return v.VM + ": " + text
}

// MarkGone changes the verdicts on groups that are stopped because their VM left
// its job: it says so, and how to delete what is kept of the VM.
func MarkGone(groups []Group, st *api.VMJobState) {
	if st == nil {
		return
	}
	for i := range groups {
		g := &groups[i]
		m := slices.IndexFunc(st.Members, func(m api.VMMember) bool { return string(m.Group) == g.Job && m.State == inventory.Gone })
		if m < 0 || g.State != Stopped {
			continue
		}
		g.State, g.Level = Gone, Gone.level()
		rest := slices.DeleteFunc(slices.Clone(g.Problems), func(p Problem) bool { return p.Do == "tidemark job run "+g.Job })
		g.Problems = append([]Problem{{
			cmp.Or(st.Members[m].Trouble, "its job no longer selects the VM"),
			"its replica and journal are kept until you delete them: tidemark delete job " + g.Job + " --yes",
		}}, rest...)
	}
}
