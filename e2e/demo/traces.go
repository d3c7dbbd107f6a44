package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The profile traces of the demo's containers adds Jaeger, which answers here.
const jaeger = "http://127.0.0.1:16686"

// The trace that the message of the failover belongs to, as a person chooses it.
const (
	fireTrace       = "4bf92f3577b34da6a3ce929d0e0e4736"
	fireTraceparent = "00-" + fireTrace + "-00f067aa0ba902b7-01"
)

// observe adds Jaeger and Prometheus to the stack, and has all services send their spans.
func (s *stack) observe() {
	s.args = append(s.args, "--profile", "traces", "--profile", "metrics")
	s.env = append(s.env, "TIDEMARK_JAEGER=tidemark-jaeger", "TIDEMARK_PROMETHEUS=tidemark-prometheus", "OTEL_EXPORTER_OTLP_ENDPOINT=http://jaeger:4318")
}

// shown is a trace as Jaeger answers it.
type shown struct {
	TraceID string `json:"traceID"`
	Spans   []struct {
		Operation string `json:"operationName"`
		Process   string `json:"processID"`
	} `json:"spans"`
	Processes map[string]struct {
		Service string `json:"serviceName"`
	} `json:"processes"`
}

// services are those that have spans in the trace.
func (t shown) services() (out []string) {
	for _, p := range t.Processes {
		out = append(out, p.Service)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// steps is how many spans are steps of a failover.
func (t shown) steps() (n int) {
	for _, s := range t.Spans {
		if strings.HasPrefix(s.Operation, "failover ") {
			n++
		}
	}
	return n
}

// traced waits until Jaeger has the failover as one trace, that of the message, down to the
// journal's part of it, and fails if another trace has a step of it, too.
func (c *containers) traced(ctx context.Context) error {
	c.step(7, "The failover is one trace")
	var found []shown
	var last error
	err := until(ctx, "Jaeger to have the failover", func() bool {
		last = nil
		if found, last = ofFailovers(ctx); last != nil {
			return false
		}
		i := slices.IndexFunc(found, func(t shown) bool { return t.TraceID == fireTrace })
		if i < 0 {
			last = fmt.Errorf("of %d traces with the job none is %s", len(found), fireTrace)
			return false
		}
		all := found[i].services()
		if found[i].steps() < 3 || !slices.Contains(all, "tidemark-failover") || !slices.Contains(all, "tidemark-journal") {
			last = fmt.Errorf("it has %d steps, and spans of %v", found[i].steps(), all)
			return false
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	for _, t := range found {
		if t.TraceID != fireTrace && t.steps() > 0 {
			return fmt.Errorf("the trace %s has %d steps of the failover, which began as %s", t.TraceID, t.steps(), fireTrace)
		}
		if t.TraceID == fireTrace {
			c.fire = t
			c.say("PROVEN: %s/trace/%s has %d spans of %s.", jaeger, t.TraceID, len(t.Spans), strings.Join(t.services(), ", "))
		}
	}
	return nil
}

// ofFailovers are the traces of the failover service that are about the job.
func ofFailovers(ctx context.Context) ([]shown, error) {
	q := url.Values{"service": {"tidemark-failover"}, "tags": {`{"tidemark.job":"shop"}`}, "limit": {"200"}, "lookback": {"1h"}}
	var answer struct {
		Data []shown `json:"data"`
	}
	err := getJSON(ctx, jaeger+"/api/traces?"+q.Encode(), &answer)
	return answer.Data, err
}

// getJSON decodes what is at an address.
func getJSON(ctx context.Context, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("%s: %w", resp.Status, err)
	}
	return nil
}
