package bus

import (
	"testing"
	"time"
)

// What an idle group sends is purged seldom: a purge costs as much as a frame.
func TestFewBytesAreNotWorthAPurge(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		what string
		sink *FrameSink
		want bool
	}{
		{"nothing was purged yet", &FrameSink{}, true},
		{"a mark since the last purge", &FrameSink{sincePurge: 300, purgedAt: now}, false},
		{"a mark, and the last purge is old", &FrameSink{sincePurge: 300, purgedAt: now.Add(-purgeAge)}, true},
		{"many bytes", &FrameSink{sincePurge: purgeBytes, purgedAt: now}, true},
	} {
		if got := c.sink.worthPurging(); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}
