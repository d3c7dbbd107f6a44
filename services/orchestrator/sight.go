package orchestrator

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/trigger"
)

// see looks whether what a trigger waits for holds now, and says what was seen. The
// text has no figure that changes from look to look.
func (s *Service) see(ctx context.Context, t spec.Trigger, raised bool) (trigger.Sight, string) {
	switch {
	case t.Signal != nil && raised:
		return trigger.Holds, "the signal is raised"
	case t.Signal != nil:
		return trigger.Ended, "the signal is not raised"
	case t.RPO != nil:
		rpo, err := s.deps.World.RPO(ctx, t.RPO.Job)
		switch {
		case err != nil:
			return trigger.Unknown, "the RPO of " + t.RPO.Job + " is not known: " + err.Error()
		case rpo > t.RPO.Above.Std():
			return trigger.Holds, fmt.Sprintf("the RPO of %s is above %s", t.RPO.Job, t.RPO.Above)
		}
		return trigger.Ended, fmt.Sprintf("the RPO of %s is not above %s", t.RPO.Job, t.RPO.Above)
	case t.Down != nil:
		up, text, err := s.deps.World.Up(ctx, t.Down.Site, api.UpRequest{VM: t.Down.VM, Host: t.Down.Host})
		switch {
		case err != nil:
			return trigger.Unknown, fmt.Sprintf("whether %s is up is not known: %s", cmp.Or(t.Down.VM, t.Down.Host), err)
		case up:
			return trigger.Ended, text
		}
		return trigger.Holds, text
	case t.Unreachable != nil:
		return s.seeSite(ctx, *t.Unreachable)
	}
	return trigger.Unknown, "" // a schedule looks at the time of day
}

// seeSite looks at a site: it is gone if neither enough witnesses nor this site get an
// answer. This site looks only when the witnesses agree, and its link alone is never
// enough.
func (s *Service) seeSite(ctx context.Context, g spec.SiteGone) (trigger.Sight, string) {
	silent, answers := 0, 0
	var unheard []string
	for _, w := range g.Witnesses {
		r, err := s.deps.Witnesses.Get(ctx, w.Key, g.Site)
		switch {
		case err != nil || !s.fresh(r):
			unheard = append(unheard, w.Name)
		case r.Answers:
			answers++
		default:
			silent++
		}
	}
	text := fmt.Sprintf("%d of %d witnesses see that %s does not answer, and %d must", silent, len(g.Witnesses), g.Site, g.Need)
	if len(unheard) > 0 {
		text += "; nothing is heard of " + strings.Join(unheard, ", ")
	}
	switch {
	case silent < g.Need && answers > len(g.Witnesses)-g.Need:
		return trigger.Ended, text
	case silent < g.Need:
		return trigger.Unknown, text
	}
	switch err := s.deps.World.Reachable(ctx, g.Site); {
	case err == nil:
		return trigger.Ended, text + "; but it answers here"
	case !cdp.Is(err, cdp.Transient):
		return trigger.Unknown, text + "; whether it answers here is not known: " + err.Error()
	}
	return trigger.Holds, text + "; it does not answer here either"
}

// fresh reports whether a report is about now. One from the future is not: the clock
// was set back since.
func (s *Service) fresh(r api.WitnessReport) bool {
	age := s.deps.Clock.Now().Sub(r.HeardAt)
	return age < s.cfg.ReportFresh && age > -s.cfg.ReportFresh
}

// maxSkew is how far a witness's time of day may be off. Until then, a report that was
// recorded could be sent again after this one was lost.
const maxSkew = 5 * time.Minute

// hear handles api.PlanWitness.
func (s *Service) hear(ctx context.Context, r api.WitnessReport) error {
	const op = "take witness's report"
	now := s.deps.Clock.Now()
	switch err := r.Check(); {
	case err != nil:
		return err
	case r.To != s.cfg.Site:
		return cdp.Errorf(cdp.Invalid, op, string(r.Site), "it is for site %s, and this is %s", r.To, s.cfg.Site)
	case r.At.Sub(now).Abs() > maxSkew:
		return cdp.Errorf(cdp.Invalid, op, string(r.Site), "the witness's clock says %s, and it is %s here", r.At.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)).
			WithHint("set the witness's clock")
	case !s.listed(r):
		return cdp.Errorf(cdp.NotFound, op, string(r.Site), "no plan of site %s has a trigger for %s that lists the key %s", s.cfg.Site, r.Site, r.Key).
			WithHint("add it to the trigger: unreachable: {site: " + string(r.Site) + ", witnesses: [{name: ..., key: " + r.Key + "}]}")
	}
	last, err := s.deps.Witnesses.Get(ctx, r.Key, r.Site)
	switch {
	case err == nil && !r.At.After(last.At) && last.At.Sub(now) < maxSkew:
		return cdp.Errorf(cdp.Duplicate, op, string(r.Site), "a newer report of this witness has come already")
	case err != nil && !cdp.Is(err, cdp.NotFound) && !cdp.Is(err, cdp.Corrupt):
		return cdp.Wrap(err, op, string(r.Site))
	}
	r.HeardAt = now
	return cdp.Wrap(s.deps.Witnesses.Put(ctx, r), op, string(r.Site))
}

// listed reports whether a trigger counts on this witness.
func (s *Service) listed(r api.WitnessReport) bool {
	for _, p := range s.active.triggers() {
		for _, t := range p.Triggers {
			if t.Unreachable == nil || t.Unreachable.Site != r.Site {
				continue
			}
			for _, w := range t.Unreachable.Witnesses {
				if w.Key == r.Key {
					return true
				}
			}
		}
	}
	return false
}
