package capture

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// answerDisks handles api.CaptureDisks. The sources of other targets' jobs come
// along, because the one who asks cannot know of them. Their names are for this site only.
func (s *Service) answerDisks(_ context.Context, r api.DisksRequest) (any, error) {
	if s.deps.Look == nil {
		return nil, cdp.Errorf(cdp.Invalid, "look at disks", "", "this service opens no disks")
	}
	reply := r.Answer(s.deps.Look)
	for _, a := range r.Listen {
		reply.Disks = append(reply.Disks, s.deps.Servers.Look(a))
	}
	for key, paths := range s.jobs.sources(r.Target) {
		for _, disk := range s.deps.Look(paths, false) {
			use := api.DiskUse{Target: key.target, Disk: disk}
			use.Disk.Path = ""
			if r.Target == s.deps.Site {
				use.Job = key.name
			}
			reply.Others = append(reply.Others, use)
		}
	}
	return reply, nil
}

// sources are the paths that are captured for others than one target, by job.
func (j *keptJobs) sources(besides cdp.Site) map[jobKey][]string {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[jobKey][]string{}
	for _, job := range j.known {
		for _, d := range job.Source.Disks {
			if d.Path != "" && job.Target.Site != besides {
				key := jobKey{job.Target.Site, job.Name}
				out[key] = append(out[key], d.Path)
			}
		}
	}
	return out
}
