package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/plan"
)

// The page of a run says who, what, when, the evidence, and the time against the objective.
// Its table of actions goes over several sheets with its head on each, and what others wrote
// is text in it, whatever it is.
func TestTheReportOfARunIsAPageThatPrints(t *testing.T) {
	began := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	r := plan.Begin(plan.Request{Plan: "shop-dr", ID: "t-1", Mode: recovery.Test, By: "trigger nightly"}, 7, spec.Plan{Name: "shop-dr", Site: "dr", Objective: spec.Duration(time.Minute),
		Actions: []spec.Action{{Name: "db", Mode: spec.InBoth, Failover: &spec.FailoverAction{Job: "db"}}, {Name: "front", Mode: spec.InBoth, Failover: &spec.FailoverAction{Job: "web"}}}}, began)
	for i, text := range []string{"at point p12; VM: db01 is on", "<script>alert(1)</script>"} {
		r.Actions[i].Status, r.Actions[i].Text = plan.Done, text
		r.Actions[i].BegunAt, r.Actions[i].EndedAt = began, began.Add(30*time.Second)
		r.Actions[i].Clean = &plan.Clean{Status: plan.Done, Text: "the test failover is cleaned up"}
	}
	r.Phase, r.EndedAt = plan.Succeeded, began.Add(90*time.Second)
	var page bytes.Buffer
	if err := reportHTML(&page, r, r.EndedAt); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	wants(t, text, "shop-dr: succeeded", "t-1, test, at site dr", "trigger nightly", "1m30s, longer than the objective of 1m", "at point p12; VM: db01 is on",
		"&lt;script&gt;alert(1)&lt;/script&gt;", "<thead>", "table-header-group", "@page", "break-inside: avoid")
	if n := strings.Count(text, "the test failover is cleaned up"); n != 2 || strings.Contains(text, "<script") || strings.Contains(text, "src=") {
		t.Errorf("%d clean-ups in\n%s", n, text)
	}
}
