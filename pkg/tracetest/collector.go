// Package tracetest is an OpenTelemetry collector for tests: what programs send it can be
// looked at, trace by trace. It is for tests only.
package tracetest

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
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one span as a collector sees it.
type Span struct {
	ID, Parent    string // hexadecimal; Parent is empty at the root
	Name, Service string
	About         map[string]string // its attributes
}

// Collector keeps what it is sent, over HTTP.
type Collector struct {
	// URL is what programs are told, as OTEL_EXPORTER_OTLP_ENDPOINT.
	URL string

	mu     sync.Mutex
	traces map[string][]Span // by their ids
}

// New starts a collector that ends with the test.
func New(t testing.TB) *Collector {
	c := &Collector{traces: map[string][]Span{}}
	srv := httptest.NewServer(http.HandlerFunc(c.take))
	t.Cleanup(srv.Close)
	c.URL = srv.URL
	return c
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
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
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range req.ResourceSpans {
		service := attributes(rs.Resource.Attributes)["service.name"]
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				id := hex.EncodeToString(s.TraceId)
				c.traces[id] = append(c.traces[id], Span{hex.EncodeToString(s.SpanId), hex.EncodeToString(s.ParentSpanId), s.Name, service, attributes(s.Attributes)})
			}
		}
	}
}

func attributes(kvs []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range kvs {
		out[kv.Key] = kv.Value.GetStringValue()
	}
	return out
}

// Any reports whether it has one of these traces.
func (c *Collector) Any(ids map[string]bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range ids {
		if c.traces[id] != nil {
			return true
		}
	}
	return false
}

// with are the spans of the trace of the id, empty for any, that has spans whose names
// contain each of these parts; nil: there is none.
func (c *Collector) with(id string, parts []string) []Span {
	for at, all := range c.traces {
		if (id == "" || id == at) && !slices.ContainsFunc(parts, func(p string) bool { return !named(all, p) }) {
			return slices.Clone(all)
		}
	}
	return nil
}

func named(all []Span, part string) bool {
	return slices.ContainsFunc(all, func(s Span) bool { return strings.Contains(s.Name, part) })
}

// Await waits for a trace that has spans whose names contain each of these parts, and
// whose id is id unless that is empty. Without one the test has failed.
func (c *Collector) Await(t testing.TB, id string, parts ...string) []Span {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		c.mu.Lock()
		found := c.with(id, parts)
		c.mu.Unlock()
		switch {
		case found != nil:
			return found
		case time.Now().After(end):
			c.mu.Lock()
			defer c.mu.Unlock()
			t.Errorf("no trace %s with %q; there are %v", id, parts, c.traces)
			return nil
		}
	}
}

// Way are the names from a span up to its root; nil if a span between them is missing.
func Way(all []Span, s Span) (names []string) {
	for {
		names = append(names, s.Name)
		if s.Parent == "" {
			return names
		}
		i := slices.IndexFunc(all, func(x Span) bool { return x.ID == s.Parent })
		if i < 0 {
			return nil
		}
		s = all[i]
	}
}
