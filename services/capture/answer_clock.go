package capture

import (
	"context"

	"tidemark.dev/pkg/contract/api"
)

// answerClock answers with the two times in the middle of an offset measurement.
func (s *Service) answerClock(context.Context, []byte) (any, error) {
	received := s.deps.Clock.Now().UnixNano()
	return api.ClockReply{Received: received, Sent: s.deps.Clock.Now().UnixNano()}, nil
}
