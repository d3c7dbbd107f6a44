package bus

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
)

const (
	// purgeEvery is how often a stream is purged at most. A spool of MinSpool still
	// takes 40 MB/s.
	purgeEvery = 100 * time.Millisecond
	// A purge costs as much as a frame on its way. So what little an idle group sends
	// is purged when there are purgeBytes of it, or after purgeAge.
	purgeBytes = 64 << 10
	purgeAge   = 5 * time.Minute
)

// purgeDurable purges durable frames from the stream until ctx ends. It keeps the
// newest durable frame, so that the tail can be read.
func (s *FrameSink) purgeDurable(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case no := <-s.purge:
			if !s.worthPurging() {
				continue // what says so is repeated
			}
			if err := s.purgeTo(ctx, no); err != nil && ctx.Err() == nil {
				s.conn.notify(Notice{What: "frames not purged", Err: wrap(err, "purge frames", string(s.stream.group))})
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(purgeEvery):
		}
	}
}

// purgeTo never purges beyond the newest frame that the stream is known to have:
// that would shift its numbering.
func (s *FrameSink) purgeTo(ctx context.Context, no cdp.FrameNo) error {
	s.streamMu.Lock()
	defer s.streamMu.Unlock()
	s.mu.Lock()
	no = min(no, s.last)
	s.mu.Unlock()
	if no <= 1 || no == s.purged {
		return nil
	}
	if err := s.stream.purge(ctx, no); err != nil {
		return err
	}
	s.purged = no
	s.mu.Lock()
	s.sincePurge, s.purgedAt = 0, time.Now()
	s.mu.Unlock()
	return nil
}

func (s *FrameSink) worthPurging() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sincePurge >= purgeBytes || time.Since(s.purgedAt) >= purgeAge
}
