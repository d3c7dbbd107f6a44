package scheduler

import (
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
)

// fresh is how long it counts what was found at a path of another job. A job's own
// paths are looked at each time.
const fresh = 5 * time.Second

// seen is what was found at paths a moment ago. Of a file of many jobs each would
// have the disks of all others looked at, thrice. What may change by itself, above all
// a replica that is not made yet, is never in it.
type seen struct {
	clock clock.Clock

	mu    sync.Mutex
	since time.Time
	at    map[looker]map[string]api.DiskFacts
}

// looker is who looks at disks: capture at a site, or the journal of this one.
type looker struct {
	site     cdp.Site
	replicas bool
}

// split gives what is known of some paths, and the paths of which nothing is.
func (s *seen) split(by looker, paths []string) (known map[string]api.DiskFacts, unknown []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.clock.Now(); now.Sub(s.since) >= fresh || now.Before(s.since) {
		s.at, s.since = map[looker]map[string]api.DiskFacts{}, now
	}
	known = map[string]api.DiskFacts{}
	for _, p := range paths {
		if f, ok := s.at[by][p]; ok {
			known[p] = f
		} else {
			unknown = append(unknown, p)
		}
	}
	return known, unknown
}

// note keeps what was found.
func (s *seen) note(by looker, disks []api.DiskFacts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at[by] == nil {
		s.at[by] = map[string]api.DiskFacts{}
	}
	for _, f := range disks {
		if (f.Kind == api.PathFile || f.Kind == api.PathDevice) && f.Problem == "" {
			s.at[by][f.Path] = f
		}
	}
}
