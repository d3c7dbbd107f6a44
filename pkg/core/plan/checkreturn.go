package plan

import (
	"slices"
	"strings"

	"tidemark.dev/pkg/contract/spec"
)

// back checks an action that brings a machine to this site.
func (c *checker) back(a spec.Action) {
	r := a.Return()
	if r == nil {
		return
	}
	if !r.Overwrite && len(r.Disks) == 0 {
		c.warn("overwrite", "it fails where old disks of %s are still there: that they are overwritten where they differ is confirmed with overwrite: true", r.Job)
	}
	switch j, known := c.facts.Jobs[r.Job]; {
	case !known:
	case j.VM && len(r.Disks) > 0:
		c.bad("vm", "the job %s replicates a VM, whose replica is the VM that it came from: leave disks out", r.Job)
	case !j.VM && r.Shutdown != "":
		c.bad("vm", "the job %s replicates disks, and no VM is shut down for them: leave shutdown out", r.Job)
	}
}

// subplan checks that a plan which is run is there, and does not lead back to this one.
func (c *checker) subplan(a spec.Action) {
	if a.RunPlan == nil {
		return
	}
	switch ring := c.ring([]string{c.plan.Name, a.RunPlan.Plan}); {
	case a.RunPlan.Plan == c.plan.Name:
		c.bad("plan", "the plan runs itself")
	case !slices.ContainsFunc(c.facts.Others, func(p spec.Plan) bool { return p.Name == a.RunPlan.Plan }):
		c.bad("plan", "there is no plan %s at site %s", a.RunPlan.Plan, c.plan.Site)
	case ring != nil:
		c.bad("plan", "the plans run each other, and none could end: %s", strings.Join(ring, " runs "))
	}
}

// ring is a way from the first plan of a way back to it; nil if there is none.
func (c *checker) ring(way []string) []string {
	last := way[len(way)-1]
	i := slices.IndexFunc(c.facts.Others, func(p spec.Plan) bool { return p.Name == last })
	if i < 0 {
		return nil
	}
	for _, a := range c.facts.Others[i].Actions {
		switch {
		case a.RunPlan == nil:
		case a.RunPlan.Plan == way[0]:
			return append(slices.Clone(way), way[0])
		case !slices.Contains(way, a.RunPlan.Plan):
			if ring := c.ring(append(slices.Clone(way), a.RunPlan.Plan)); ring != nil {
				return ring
			}
		}
	}
	return nil
}
