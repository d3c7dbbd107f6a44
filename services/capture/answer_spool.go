package capture

import "tidemark.dev/pkg/contract/api"

// answerSpool is how the spool is divided, counting every job that is known: one that
// never ran has no stream yet, and will need its share.
func (s *Service) answerSpool() api.SpoolUse {
	use := s.deps.Streams.Use()
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	use.Groups = max(use.Groups, len(s.jobs.known))
	return use
}
