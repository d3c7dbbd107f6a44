package bus

import (
	"context"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/spool"
)

// stallTime is how long the journal may wait for a frame that the stream has before
// capture checks that the frame can be read at all.
const stallTime = 3 * time.Second

// stall is what the journal has had durable for a while, although the stream has
// more. FrameSink.mu guards it.
type stall struct {
	at    spool.Durable
	since time.Time
	heard time.Time // the newest report; a journal that is silent waits for no frame
}

// noteDurable notes what the journal reports.
func (s *FrameSink) noteDurable(d spool.Durable) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.No != s.still.at.No || d.Refused != 0 || d.No >= s.last || s.still.since.IsZero() {
		s.still = stall{since: time.Now()}
	}
	s.still.at, s.still.heard = d, time.Now()
	if s.stalls() {
		s.busy.Ring()
	}
}

// stalls reports whether the journal, which was heard a moment ago, lacks a frame that
// the stream has. Call with mu held.
func (s *FrameSink) stalls() bool {
	return time.Since(s.still.heard) < stallTime && s.still.at.Refused == 0 && s.still.at.No < s.last
}

// findLoss checks whether the journal waits for a frame that the stream cannot read,
// and reports it as the journal would. The server does not report a damaged message:
// it delivers neither that one nor those after it, or cuts them off.
func (s *FrameSink) findLoss(ctx context.Context) error {
	s.mu.Lock()
	d := s.still.at
	look := s.stalls() && time.Since(s.still.since) > stallTime
	s.mu.Unlock()
	if !look {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	has, err := s.stream.has(ctx, d.No+1)
	lost := err == nil && !has
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.still.at != d || s.closed {
		return nil // it went on meanwhile
	}
	s.still.since = time.Now() // not at every beat
	if !lost {
		return err
	}
	d.Refused, d.By = d.No+1, 0
	newest(s.durable, d)
	return cdp.Errorf(cdp.Corrupt, "read frame", s.subject, "the stream has lost frame %d, which the journal does not have yet", d.Refused).
		WithHint("its blocks are copied again; check the disk of the NATS server of site " + string(s.conn.site))
}
