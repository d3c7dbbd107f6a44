package bus

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tidemark.dev/pkg/engine/spool"
)

// Requests of the session before still get heartbeats, which say how much that
// session was given. They must not end the new one before its first frame.
func TestAHeartbeatFromBeforeAResetEndsNoSession(t *testing.T) {
	old := nats.Header{"Status": {"100"}, "Nats-Last-Consumer": {"7"}, "Nats-Last-Stream": {"12"}}
	p := &puller{next: 5, status: func(spool.Status) {}, reset: time.Now()}
	if err := p.word(old); err != nil {
		t.Errorf("right after the reset: %v", err)
	}
	p.heard = 1
	if err := p.word(old); !errors.Is(err, errAgain) {
		t.Errorf("others got frames of this session: %v", err)
	}
	p.heard, p.reset = 0, time.Now().Add(-pullStale)
	if err := p.word(old); !errors.Is(err, errAgain) {
		t.Errorf("others got all frames of this session: %v", err)
	}
}
