package plan

import (
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
)

// needsSource finds what an action needs of a site that the plan recovers from. With a
// trigger that waits until that site is gone it is an error: the plan would begin only
// when the action cannot do its work.
func (c *checker) needsSource(a spec.Action) {
	if !a.Mode.In(recovery.Production) {
		return
	}
	var site cdp.Site
	var needs string
	switch {
	case a.Failover != nil && a.Failover.Planned:
		site, needs = c.facts.Jobs[a.Job()].Source, "it is planned, so it fails if the source site "
		if site == "" {
			c.warn("source", "%sdoes not answer", needs)
			return
		}
		needs += string(site) + " does not answer"
	case a.Check != nil && a.Check.Unreachable == c.plan.Site:
		c.bad("source", "it waits until site %s does not answer, and the plan runs there", c.plan.Site)
		return
	case a.Check == nil || !a.Critical:
		return
	case a.Check.Reachable != "":
		if job := c.recoversFrom(a.Check.Reachable); job != "" {
			site, needs = a.Check.Reachable, "it needs the site "+string(a.Check.Reachable)+", from which "+job+" is recovered: with that site gone the plan stops here"
		}
	case a.Check.RPO != nil || a.Check.Point != nil:
		if src := c.facts.Jobs[a.Job()].Source; src != "" && c.recoversFrom(src) != "" {
			site, needs = src, "with the site "+string(src)+" gone, "+a.Job()+" has no newer recovery points, and in time the plan stops here"
		}
	}
	switch t := c.startsWithout(site); {
	case site == "":
	case t != "" && (a.Check == nil || a.Check.Reachable != ""):
		c.bad("source", "%s; the trigger %s starts the plan only when that site is gone", needs, t)
	default:
		c.warn("source", "%s", needs)
	}
}

// recoversFrom is a job that the plan recovers from a site; empty: none.
func (c *checker) recoversFrom(site cdp.Site) string {
	for _, job := range c.jobs() {
		if c.facts.Jobs[job].Source == site {
			return job
		}
	}
	return ""
}

// startsWithout is a trigger that starts the plan in production when a site is gone;
// empty: none.
func (c *checker) startsWithout(site cdp.Site) string {
	i := slices.IndexFunc(c.plan.Triggers, func(t spec.Trigger) bool {
		return t.Unreachable != nil && t.Unreachable.Site == site && t.Mode == recovery.Production
	})
	if i < 0 {
		return ""
	}
	return c.plan.Triggers[i].Name
}

// young finds conditions that ask for recovery points sooner than the job makes them.
func (c *checker) young(a spec.Action) {
	rpo := c.facts.Jobs[a.Job()].RPO
	switch {
	case a.Check == nil || rpo == 0:
	case a.Check.RPO != nil && a.Check.RPO.Below.Std() < rpo:
		c.bad("point", "it wants an RPO below %s, and %s makes recovery points for an RPO of %s: such a point cannot exist", a.Check.RPO.Below, a.Job(), spec.Duration(rpo))
	case a.Check.Point != nil && a.Check.Point.YoungerThan.Std() < rpo:
		c.bad("point", "it wants a recovery point younger than %s, and %s makes them for an RPO of %s: such a point cannot exist", a.Check.Point.YoungerThan, a.Job(), spec.Duration(rpo))
	}
}

// listens finds failovers that serve their disks at one address.
func (c *checker) listens(i int, a spec.Action) {
	if a.Failover == nil || a.Failover.Listen == "" {
		return
	}
	for _, b := range c.plan.Actions[i+1:] {
		if b.Failover != nil && b.Job() != a.Job() && together(a, b) && sameAddress(a.Failover.Listen, b.Failover.Listen) {
			c.bad("address", "it and %s both listen at %s: give each a port of its own", b.Name, b.Failover.Listen)
		}
	}
}

// sameAddress reports whether two listeners would be in each other's way: at one port
// of one host, or of all of a machine's hosts.
func sameAddress(a, b string) bool {
	i, k := strings.LastIndex(a, ":"), strings.LastIndex(b, ":")
	if i < 0 || k < 0 {
		return a == b // sockets
	}
	h1, p1, h2, p2 := a[:i], a[i:], b[:k], b[k:]
	every := func(h string) bool { return h == "" || h == "0.0.0.0" || h == "[::]" }
	return p1 == p2 && (h1 == h2 || every(h1) || every(h2))
}
