package capture

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
)

// answerStatus answers for one group, or for all, of one target or of all: those that
// are captured, and those that are not with the reason.
func (s *Service) answerStatus(r api.GroupRequest) api.CaptureStatusReply {
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	reply := api.CaptureStatusReply{Groups: []api.CaptureGroup{}}
	for id, j := range s.jobs.known {
		if r.Group != "" && r.Group != id || r.Target != "" && r.Target != j.Target.Site {
			continue
		}
		key := jobKey{j.Target.Site, string(id)}
		if g, err := s.groups.Group(id); err == nil {
			reply.Groups = append(reply.Groups, s.groupStatus(key, j, g))
		} else if why := s.jobs.refused[key]; why != nil {
			reply.Refused = append(reply.Refused, refusal(id, why))
		}
	}
	// A job that does not get its group is reported to its own target only: to
	// others the name means another job.
	for key, why := range s.jobs.refused {
		id := key.group()
		if r.Target == key.target && (r.Group == "" || r.Group == id) && s.jobs.known[id].Target.Site != key.target {
			reply.Refused = append(reply.Refused, refusal(id, why))
		}
	}
	return reply
}

func refusal(g cdp.GroupID, why error) api.CaptureRefused {
	return api.CaptureRefused{Group: g, Reason: why.Error(), Hint: cdp.HintOf(why)}
}

// groupStatus is the status of a group that is captured. Call with jobs.mu held.
func (s *Service) groupStatus(key jobKey, j spec.ReplicationJob, g *Group) api.CaptureGroup {
	st := g.Status()
	c := api.CaptureGroup{Group: key.group(), Target: key.target, State: st.State, Seq: st.Seq, Durable: st.Durable, InFlight: st.Pending, Spool: s.deps.Streams.Use().Share,
		Dirty: st.DirtyBytes, Done: st.Done, Total: st.Total, Since: st.Since, Verified: st.Verified, Resyncs: st.Resyncs, Exports: s.uris(j), Clients: s.groups.Clients(key.group())}
	why := st.Failed
	if why == nil && st.State != event.Replicating {
		why = st.Trouble
	}
	if why == nil {
		why = s.jobs.refused[key]
	}
	if !s.jobs.running[key] {
		why = notRunning(key.group())
	}
	if why != nil {
		c.Reason, c.Hint = why.Error(), cdp.HintOf(why)
	}
	for i, d := range j.Source.Disks {
		id := cdp.DiskID(i)
		c.Disks = append(c.Disks, cdp.Disk{ID: id, Name: d.Name, Size: g.Device(id).Size()})
	}
	return c
}
