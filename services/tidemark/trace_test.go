package main

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// spans is an OpenTelemetry collector that keeps what it is sent: the names of
// the spans by trace.
type spans struct {
	mu     sync.Mutex
	traces map[string][]string
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	raw, err := io.ReadAll(body)
	var req collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(raw, &req)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rs := range req.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, sp := range ss.Spans {
				id := hex.EncodeToString(sp.TraceId)
				s.traces[id] = append(s.traces[id], sp.Name)
			}
		}
	}
}

// with is a trace that has all of these spans, nil for none.
func (s *spans) with(parts ...string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, names := range s.traces {
		if !slices.ContainsFunc(parts, func(p string) bool {
			return !slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, p) })
		}) {
			return names
		}
	}
	return nil
}

// One recovery-point cycle is one trace, from the scheduler over capture and the
// frame to the point; one failover is one, from the command to the journal's
// steps.
func TestACycleAndAFailoverAreOneTraceEach(t *testing.T) {
	t.Parallel() // it mostly waits
	s := &spans{traces: map[string][]string{}}
	srv := httptest.NewServer(s)
	defer srv.Close()
	dir := short(t)
	l := newLab(t, dir, "", "otlp: "+srv.URL+"\n")
	file, _, _ := jobFile(t, dir)
	l.do(0, "apply", "-f", file)
	l.do(0, "job", "run", "web")
	l.until("protected", "status")
	poke(t, l.field("write to", "status", "web"), 0, 'A')
	l.do(0, "point", "create", "web", "--tag", "one")
	l.do(0, "failover", "web", "--mode", "test", "--point", "one")
	l.do(0, "failover", "cleanup", "web")
	for what, parts := range map[string][]string{
		"recovery-point cycle": {"send tidemark.cmd.v1.{site}.capture.mark", "process tidemark.cmd.v1.{site}.capture.mark",
			"send tidemark.write.v1", "process tidemark.write.v1", "send tidemark.evt.v1.{site}.journal.point-created"},
		"failover": {"failover.start", "journal.resolve", "journal.open", "send tidemark.evt.v1.{site}.failover.step"},
	} {
		end := time.Now().Add(time.Minute)
		for s.with(parts...) == nil {
			if time.Now().After(end) {
				s.mu.Lock()
				t.Errorf("no trace of a %s; there are %v", what, s.traces)
				s.mu.Unlock()
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}
