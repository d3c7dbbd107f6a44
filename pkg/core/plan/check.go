package plan

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/predicate"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/health"
)

// Facts are what is known of the site that a plan would run at.
type Facts struct {
	// Jobs are the replication jobs to this site, by name; nil: not known.
	Jobs map[string]JobFacts
	// Scripts are the programs in the script directory; nil: not known.
	Scripts map[string]bool
	// Points says for each failover, by its action, why its point cannot be had;
	// empty for one that can. Without an entry it is not known.
	Points map[string]string
	// Power says for each action on a VM's power, by the action, why it cannot be done;
	// empty for one that can. Without an entry it is not known.
	Power map[string]string
	// Blind says for each trigger that looks at a machine why it cannot; without an entry
	// it can, or that is not known.
	Blind map[string]string
	// Unseen says for each check of a VM, by its action, why that VM cannot be looked at;
	// without an entry it can, or that is not known.
	Unseen map[string]string
	// Others are the other plans of the site.
	Others []spec.Plan
	VMFacts
}

// JobFacts is what is known of a job.
type JobFacts struct {
	Source  cdp.Site
	VM      bool // it has a replica VM
	Running bool
	Of      string        // the job on VMs that it belongs to
	UUID    string        // the instance UUID of the VM whose disks it has
	RPO     time.Duration // 0: not known
}

// Check finds what is wrong with a plan, or may be, in the order of its actions.
func Check(p spec.Plan, facts Facts) []api.PlanFinding {
	c := &checker{plan: p, facts: facts}
	for i, a := range p.Actions {
		c.at = a.Name
		c.job(a)
		c.failover(a)
		c.order(i, a)
		c.site(a)
		c.needsSource(a)
		c.young(a)
		c.listens(i, a)
		c.subplan(a)
		c.back(a)
		c.replica(i, a)
	}
	c.at = ""
	for _, mode := range []recovery.Mode{recovery.Production, recovery.Test} {
		if !slices.ContainsFunc(p.Actions, func(a spec.Action) bool { return a.Mode.In(mode) }) {
			c.warn("empty", "a run in %s does nothing: every action has another mode", mode)
		}
	}
	c.shared()
	c.room()
	c.triggers()
	return c.found
}

type checker struct {
	plan  spec.Plan
	facts Facts
	at    string
	found []api.PlanFinding
	// before are the ancestors of each action.
	before map[string]map[string]bool
	// about is what the finding that is added next is about, if its text has figures.
	about string
}

func (c *checker) add(bad bool, rule, format string, args []any) {
	c.found = append(c.found, api.PlanFinding{Error: bad, Action: c.at, Rule: rule, About: c.about, Text: fmt.Sprintf(format, args...)})
}
func (c *checker) bad(rule, format string, args ...any)  { c.add(true, rule, format, args) }
func (c *checker) warn(rule, format string, args ...any) { c.add(false, rule, format, args) }

// job checks that the job is there and fit for the action.
func (c *checker) job(a spec.Action) {
	if a.StopJob != nil && a.Mode.In(recovery.Test) {
		c.warn("test", "it stops the replication of %s in a test: no recovery points are made until the clean-up", a.StopJob.Job)
	}
	if a.Job() == "" || c.facts.Jobs == nil {
		return
	}
	j, known := c.facts.Jobs[a.Job()]
	switch {
	case !known:
		c.bad("job", "there is no job %s at site %s; of a job on VMs, name the job of a VM", a.Job(), c.plan.Site)
	case a.Failover != nil && a.Failover.To == recovery.ToVM && !j.VM:
		c.bad("vm", "the job %s has no replica VM: use nbd", a.Job())
	case a.Guest != nil && !j.VM:
		c.bad("vm", "the job %s has no replica VM, so there is no guest: use script", a.Job())
	case a.Failover != nil && !j.Running:
		c.warn("stopped", "the job %s is stopped: its newest recovery point gets older", a.Job())
	}
}

// failover checks that its point is there.
func (c *checker) failover(a spec.Action) {
	if a.Failover == nil {
		return
	}
	if why := c.facts.Points[a.Name]; why != "" {
		c.bad("point", "the recovery point cannot be had: %s", why)
	}
}

// order checks an action against the others that change the same job.
func (c *checker) order(i int, a spec.Action) {
	if !a.Changes() {
		return
	}
	var before *spec.Action // the last change of the failover that it follows
	for k := range c.plan.Actions {
		b := c.plan.Actions[k]
		if k == i || !b.Changes() || b.Job() != a.Job() || !together(a, b) {
			continue
		}
		switch {
		case c.waits(a.Name, b.Name):
			if b.Failover != nil || b.Undo != nil || b.Commit != nil || b.Cleanup != nil {
				before = &c.plan.Actions[k]
			}
		case k > i && !c.waits(b.Name, a.Name):
			c.bad("order", "%s changes the job %s, too, and neither waits for the other: use after", b.Name, a.Job())
		}
	}
	open := before != nil && before.Failover != nil
	switch {
	case a.Failover != nil && open:
		c.bad("twice", "%s has failed the job %s over already: end that with undo or cleanup first", before.Name, a.Job())
	case (a.Undo != nil || a.Commit != nil || a.Cleanup != nil) && !open:
		c.bad("nothing", "no action before it fails the job %s over, so there is nothing to end", a.Job())
	}
}

// together reports whether two actions can take part in one run.
func together(a, b spec.Action) bool {
	return a.Mode == spec.InBoth || b.Mode == spec.InBoth || a.Mode == b.Mode
}

// waits reports whether an action waits for another, directly or not.
func (c *checker) waits(name, other string) bool {
	if c.before == nil {
		c.before = ancestors(c.plan)
	}
	return c.before[name][other]
}

// ancestors are, for each action, all that it waits for, directly or not.
func ancestors(p spec.Plan) map[string]map[string]bool {
	after, all := map[string][]string{}, map[string]map[string]bool{}
	for _, a := range p.Actions {
		after[a.Name] = a.After
	}
	var of func(string) map[string]bool
	of = func(name string) map[string]bool {
		if all[name] == nil {
			all[name] = map[string]bool{}
			for _, n := range after[name] {
				all[name][n] = true
				maps.Copy(all[name], of(n))
			}
		}
		return all[name]
	}
	for _, a := range p.Actions {
		of(a.Name)
	}
	return all
}

// site checks what an action needs beside jobs.
func (c *checker) site(a spec.Action) {
	if why := c.facts.Power[a.Name]; why != "" {
		c.bad("power", "the VM %s cannot be changed: %s", a.Power.VM, why)
	}
	if why := c.facts.Unseen[a.Name]; why != "" {
		c.warn("vm", "the VM %s cannot be looked at now: %s", a.Check.VM, why)
	}
	if a.Check != nil && a.Check.Status != nil {
		c.status(*a.Check.Status)
	}
	file := ""
	switch {
	case a.Script != nil:
		file = a.Script.File
	case a.Guest != nil:
		file = a.Guest.File
	}
	if file != "" && c.facts.Scripts != nil && !c.facts.Scripts[file] {
		c.bad("script", "there is no program %s in the script directory of site %s", file, c.plan.Site)
	}
}

// status checks that a condition names fields that a job's status can have.
func (c *checker) status(x spec.StatusIs) {
	p, err := predicate.Parse(x.Holds)
	if err != nil {
		return // the spec was refused for that
	}
	for _, f := range p.Unknown(reflect.TypeFor[health.Group]()) {
		c.bad("status", "the status of a job has no field %s: see tidemark status %s -o json", f, x.Job)
	}
}

// jobs are the jobs that the plan changes.
func (c *checker) jobs() []string { return changed(c.plan) }

func changed(p spec.Plan) (out []string) {
	for _, a := range p.Actions {
		if a.Changes() {
			out = append(out, a.Job())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// shared finds jobs that another plan changes, too.
func (c *checker) shared() {
	others := slices.SortedFunc(slices.Values(c.facts.Others), func(a, b spec.Plan) int { return cmp.Compare(a.Name, b.Name) })
	for _, o := range others {
		var both []string
		for _, job := range c.jobs() {
			if o.Name != c.plan.Name && slices.Contains(changed(o), job) {
				both = append(both, job)
			}
		}
		if len(both) > 0 {
			c.warn("shared", "the plan %s changes the same jobs: %s; the two must not run at the same time", o.Name, strings.Join(both, ", "))
		}
		c.sharedVMs(o)
	}
}

// sharedVMs finds VMs that another plan changes through a job of their own.
func (c *checker) sharedVMs(o spec.Plan) {
	for _, job := range c.jobs() {
		for _, theirs := range changed(o) {
			if u := c.facts.Jobs[job].UUID; o.Name != c.plan.Name && u != "" && job != theirs && c.facts.Jobs[theirs].UUID == u {
				c.warn("shared", "the plan %s changes the VM of the job %s, too, through the job %s; the two must not run at the same time", o.Name, job, theirs)
			}
		}
	}
}

// triggers checks what the triggers wait for.
func (c *checker) triggers() {
	for _, t := range c.plan.Triggers {
		switch {
		case t.RPO != nil && c.facts.Jobs != nil:
			if _, known := c.facts.Jobs[t.RPO.Job]; !known {
				c.bad("trigger", "the trigger %s waits for the job %s, and there is none at site %s", t.Name, t.RPO.Job, c.plan.Site)
			}
		case c.facts.Blind[t.Name] != "":
			c.bad("trigger", "the trigger %s cannot see what it waits for: %s", t.Name, c.facts.Blind[t.Name])
		case t.Unreachable == nil:
		case t.Unreachable.Site == c.plan.Site:
			c.bad("trigger", "the trigger %s waits until site %s is gone, and the plan runs there", t.Name, c.plan.Site)
		case t.Unreachable.Need == 1:
			c.warn("trigger", "the trigger %s needs one witness: a fault of its network and of the link at the same time starts the plan", t.Name)
		}
	}
}
