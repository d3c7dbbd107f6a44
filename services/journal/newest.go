package journal

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// newest answers what the RPO monitor asks for every few seconds. A site has a thousand
// groups, each with thousands of points, so it looks at no disk and copies no list.
func (s *Service) newest() api.NewestReply {
	reply := api.NewestReply{Groups: []api.GroupNewest{}}
	s.mu.Lock()
	gs := make([]*group, 0, len(s.groups))
	for _, g := range s.groups {
		gs = append(gs, g)
	}
	for id, w := range s.wanted {
		reply.Groups = append(reply.Groups, api.GroupNewest{Group: id, State: w.state()})
	}
	s.mu.Unlock()
	for _, g := range gs {
		reply.Groups = append(reply.Groups, g.newest())
	}
	return reply
}

func (g *group) newest() api.GroupNewest {
	state, _ := g.shown()
	o := g.clock.offset()
	return api.GroupNewest{Group: g.job.id, State: state, Frame: g.vault.Stored().No, Point: g.newestPoint(), ClockOffset: o.Ahead, ClockBound: o.Bound}
}

// newestPoint is the last of points, nil if there is none.
func (g *group) newestPoint() *cdp.Point {
	p := g.vault.NewestPoint()
	if p == nil || p.Bound > 0 { // the others do not change how this one is listed
		return p
	}
	ps := g.points()
	if len(ps) == 0 {
		return nil
	}
	return &ps[len(ps)-1]
}

// shown is the state that people see, and why.
func (g *group) shown() (event.JournalState, string) {
	switch now := g.vault.State(); {
	case now.Sealed:
		return event.JournalSealed, "the failover was committed: the images are the disks"
	case now.Released:
		return event.JournalHalted, "the group has been failed over; the run " + now.Run + " has the replica's disks"
	case now.Halted:
		return event.JournalHalted, "the group has been failed over"
	}
	if err := g.deps.Stores.Full(g.job.id); err != nil { // what would say so may wait, too
		return event.JournalFull, err.Error()
	}
	return g.state.get()
}
