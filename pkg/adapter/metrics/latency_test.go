package metrics

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A collector that asks for OpenMetrics gets the trace of a slow frame beside its bucket.
func TestTheWayOfAWriteIsTimed(t *testing.T) {
	s := listen(t)
	w := s.WritePath("prod")
	w.Written(80 * time.Microsecond)
	w.Durable(3*time.Millisecond, "")
	w.Durable(3*time.Second, "5bf92f3577b34da6a3ce929d0e0e4736")
	w.Stored(time.Millisecond, "")
	w.Stored(2*time.Second, "4bf92f3577b34da6a3ce929d0e0e4736")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,*/*;q=0.1") // as Prometheus does
	answer := httptest.NewRecorder()
	s.handler().ServeHTTP(answer, r)
	for _, line := range []string{
		`tidemark_guest_write_seconds_bucket{site="prod",le="5e-05"} 0`,
		`tidemark_guest_write_seconds_bucket{site="prod",le="0.0001"} 1`,
		`tidemark_frame_durable_seconds_bucket{site="prod",le="0.005"} 1`,
		`tidemark_frame_durable_seconds_bucket{site="prod",le="5.0"} 2 # {trace_id="5bf92f3577b34da6a3ce929d0e0e4736"} 3.0`,
		`tidemark_journal_store_seconds_bucket{site="prod",le="1.0"} 1`,
		`tidemark_journal_store_seconds_bucket{site="prod",le="2.5"} 2 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 2.0`,
		`tidemark_journal_store_seconds_count{site="prod"} 2`,
	} {
		if !strings.Contains(answer.Body.String(), line) {
			t.Errorf("the answer has no line %s", line)
		}
	}
	var off *Server
	off.WritePath("prod").Stored(time.Second, "") // monitoring is switched off
}
