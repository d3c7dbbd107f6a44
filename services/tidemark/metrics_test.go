package main

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// monitored is what the site answers a Prometheus that asks for path.
func (l *lab) monitored(path string) string {
	l.t.Helper()
	addr := regexp.MustCompile(`address=(127\.0\.0\.1:\d+)`).FindStringSubmatch(l.log.String())
	if addr == nil {
		l.t.Fatal("nobody says where to ask:\n" + l.log.String())
	}
	req, err := http.NewRequestWithContext(l.t.Context(), http.MethodGet, "http://"+addr[1]+path, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,*/*;q=0.1") // as Prometheus does
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return resp.Status + "\n" + string(body)
}

// Monitoring sees a job from both its sites, and that the process is ready.
func TestMonitoringSeesAProtectedJob(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	l := newLab(t, dir, "", "metrics: \":0\"\n")
	until := func(path string, wants ...string) {
		t.Helper()
		for end := time.Now().Add(90 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			got, missing := l.monitored(path), ""
			for _, want := range wants {
				if !strings.Contains(got, want) {
					missing = want
				}
			}
			if missing == "" {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s has no %q:\n%s", path, missing, got)
			}
		}
	}
	file, _, _ := jobFile(t, dir)
	l.do(0, "apply", "-f", file)
	l.do(0, "job", "run", "web")
	until("/metrics",
		`tidemark_group_state{replication_job="web",service="capture",site="prod",state="replicating"} 1`,
		`tidemark_group_state{replication_job="web",service="journal",site="dr",state="receiving"} 1`,
		`tidemark_backlog_bytes{replication_job="web",site="prod"} 0`,
		`tidemark_rpo_seconds{replication_job="web",site="dr"} `,
		`tidemark_rpo_objective_seconds{replication_job="web",site="dr"} `,
		`tidemark_last_point_timestamp_seconds{replication_job="web",site="dr"} `,
		`tidemark_journal_bytes{replication_job="web",site="dr"} `,
		`tidemark_clock_offset_seconds{replication_job="web",site="dr"} `,
		`tidemark_resyncs_total{cause="overflow",replication_job="web",site="prod"} 0`,
		`tidemark_journal_store_seconds_count{site="dr"} `)
	poke(t, l.field("write to", "status", "web"), 0, 'A')
	until("/metrics", `tidemark_guest_write_seconds_count{site="prod"} 1`, `tidemark_frame_durable_seconds_count{site="prod"} `)
	until("/healthz", "200 OK\nok")
	until("/readyz", "200 OK\nok")
}
