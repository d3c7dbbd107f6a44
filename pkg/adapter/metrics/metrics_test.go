package metrics

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/core/rpo"
)

func listen(t *testing.T) *Server {
	t.Helper()
	s, err := Listen(":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.lis.Close() })
	return s
}

func get(t *testing.T, s *Server, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

// scrape is the series of a scrape that are Tidemark's, sorted, without states that
// are 0.
func scrape(t *testing.T, s *Server) []string {
	t.Helper()
	code, body := get(t, s, "/metrics")
	if code != http.StatusOK {
		t.Fatal(code, body)
	}
	var out []string
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "tidemark_") && !(strings.Contains(line, "group_state") && strings.HasSuffix(line, " 0\n")) {
			out = append(out, strings.TrimSpace(strings.TrimPrefix(line, "tidemark_")))
		}
	}
	return out
}

func expect(t *testing.T, s *Server, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := scrape(t, s); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func answer[T any](v T) func(context.Context) (T, error) {
	return func(context.Context) (T, error) { return v, nil }
}

func TestEachServiceReportsWhatItKnows(t *testing.T) {
	s := listen(t)
	at := time.Unix(1000, 500_000_000)
	s.RPO("dr", answer(map[string]rpo.Record{"web": {
		State:     rpo.State{At: time.Now(), Status: rpo.Met, Value: 2 * time.Second, Bound: 20 * time.Millisecond},
		Objective: 5 * time.Second, Point: &cdp.Point{Time: at},
	}}))
	s.Journal("dr", answer(api.StatusReply{Groups: []api.GroupStatus{{Group: "web", State: event.JournalReceiving, Disks: make([]cdp.Disk, 1),
		Received: at.Add(time.Second), Sealed: at, Oldest: &cdp.Point{Time: at.Add(-time.Hour)}, Newest: &cdp.Point{Time: at},
		Bytes: 4096, Limit: 8192, History: time.Hour, ClockOffset: -3 * time.Second, ClockBound: time.Millisecond}}}))
	s.Capture("prod", answer(api.CaptureStatusReply{Groups: []api.CaptureGroup{{Group: "web", Target: "dr", State: event.Resyncing, Dirty: 65536,
		Resyncs: map[event.ResyncCause]uint64{event.ResyncOverflow: 3}}}}))
	expect(t, s,
		`resyncs_total{cause="disk",replication_job="web",site="prod"} 0`,
		`resyncs_total{cause="overflow",replication_job="web",site="prod"} 3`,
		`resyncs_total{cause="rejoined",replication_job="web",site="prod"} 0`,
		`resyncs_total{cause="tap",replication_job="web",site="prod"} 0`,
		`backlog_bytes{replication_job="web",site="prod"} 65536`,
		`clock_offset_error_bound_seconds{replication_job="web",site="dr"} 0.001`,
		`clock_offset_seconds{replication_job="web",site="dr"} -3`,
		`group_state{replication_job="web",service="capture",site="prod",state="resyncing"} 1`,
		`group_state{replication_job="web",service="journal",site="dr",state="receiving"} 1`,
		`journal_bytes{replication_job="web",site="dr"} 4096`,
		`journal_history_seconds{replication_job="web",site="dr"} 3600`,
		`journal_history_objective_seconds{replication_job="web",site="dr"} 3600`,
		`journal_limit_bytes{replication_job="web",site="dr"} 8192`,
		`last_captured_timestamp_seconds{replication_job="web",site="dr"} 1000.5`,
		`last_point_timestamp_seconds{replication_job="web",site="dr"} 1000.5`,
		`last_received_timestamp_seconds{replication_job="web",site="dr"} 1001.5`,
		`rpo_error_bound_seconds{replication_job="web",site="dr"} 0.02`,
		`rpo_objective_seconds{replication_job="web",site="dr"} 5`,
		`rpo_seconds{replication_job="web",site="dr"} 2`,
	)
}

func TestThereIsNoSeriesWithoutData(t *testing.T) {
	s := listen(t)
	s.RPO("dr", answer(map[string]rpo.Record{
		"new":  {State: rpo.State{At: time.Now(), Status: rpo.NoData}, Objective: 5 * time.Second},
		"hung": {State: rpo.State{At: time.Now().Add(-time.Hour), Status: rpo.Met, Value: time.Second}, Objective: 5 * time.Second},
	}))
	remove := s.Journal("dr", answer(api.StatusReply{Groups: []api.GroupStatus{
		{Group: "new", State: event.JournalWaiting},
		{Group: "empty", State: event.JournalEmpty, Disks: make([]cdp.Disk, 1)},
	}}))
	s.Capture("prod", func(context.Context) (r api.CaptureStatusReply, err error) {
		return r, errors.New("it is shutting down")
	})
	expect(t, s,
		`group_state{replication_job="empty",service="journal",site="dr",state="empty"} 1`,
		`group_state{replication_job="new",service="journal",site="dr",state="waiting"} 1`,
		`journal_bytes{replication_job="empty",site="dr"} 0`,
		`rpo_objective_seconds{replication_job="hung",site="dr"} 5`,
		`rpo_objective_seconds{replication_job="new",site="dr"} 5`,
	)
	remove()
	expect(t, s, `rpo_objective_seconds{replication_job="hung",site="dr"} 5`, `rpo_objective_seconds{replication_job="new",site="dr"} 5`)
}

func TestAProcessIsReadyWhenAllItsServicesAnswer(t *testing.T) {
	s := listen(t)
	ready := func(code int, text string) {
		t.Helper()
		if got, body := get(t, s, "/readyz"); got != code || !strings.Contains(body, text) {
			t.Errorf("%d %s", got, body)
		}
		if got, _ := get(t, s, "/healthz"); got != http.StatusOK {
			t.Error("not alive:", got)
		}
	}
	var down error
	s.Expect("dr/journal", func(context.Context) error { return down })
	s.Expect("dr/failover", func(context.Context) error { return nil })
	ready(http.StatusServiceUnavailable, "starting")
	s.Started()
	ready(http.StatusOK, "ok")
	down = errors.New("takes no requests")
	ready(http.StatusServiceUnavailable, "dr/journal: takes no requests")
}

func TestOnlyAnAddressThatIsGivenIsNotLoopback(t *testing.T) {
	s := listen(t)
	if addr := s.lis.Addr().String(); !strings.HasPrefix(addr, "127.0.0.1:") {
		t.Error(addr)
	}
	if _, err := Listen(s.lis.Addr().String()); !cdp.Is(err, cdp.Conflict) {
		t.Error(err)
	}
	if _, err := Listen("9464"); !cdp.Is(err, cdp.Invalid) {
		t.Error(err)
	}
	off, err := Listen("")
	if off != nil || err != nil {
		t.Fatal(off, err)
	}
	off.Capture("prod", nil)() // all that is done to one that is off does nothing
	off.Expect("x", nil)
	off.Started()
	if err := off.Run(t.Context()); err != nil {
		t.Error(err)
	}
}
