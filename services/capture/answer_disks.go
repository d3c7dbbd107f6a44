package capture

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// answerDisks handles api.CaptureDisks. The sources of other targets' jobs come
// along, without their names: the one who asks cannot know of them.
func (s *Service) answerDisks(_ context.Context, r api.DisksRequest) (any, error) {
	if s.deps.Look == nil {
		return nil, cdp.Errorf(cdp.Invalid, "look at disks", "", "this service opens no disks")
	}
	reply := r.Answer(s.deps.Look)
	for _, a := range r.Listen {
		reply.Disks = append(reply.Disks, s.deps.Servers.Look(a))
	}
	for target, paths := range s.jobs.sources(r.Target) {
		for _, p := range paths {
			f := s.deps.Look(p, false)
			f.Path = ""
			reply.Others = append(reply.Others, api.DiskUse{Target: target, Disk: f})
		}
	}
	return reply, nil
}

// sources are the paths that are captured for others than one target.
func (j *keptJobs) sources(besides cdp.Site) map[cdp.Site][]string {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[cdp.Site][]string{}
	for _, job := range j.known {
		for _, d := range job.Source.Disks {
			if d.Path != "" && job.Target.Site != besides {
				out[job.Target.Site] = append(out[job.Target.Site], d.Path)
			}
		}
	}
	return out
}
