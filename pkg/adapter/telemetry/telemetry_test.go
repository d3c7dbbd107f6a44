package telemetry

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"tidemark.dev/pkg/cdp"
)

func on(t *testing.T, every int) (*Telemetry, *tracetest.InMemoryExporter) {
	exp := tracetest.NewInMemoryExporter()
	tel, err := Setup(t.Context(), Config{Service: "capture", Site: "prod", Exporter: keep{exp}, FrameEvery: every})
	if err != nil {
		t.Fatal(err)
	}
	return tel, exp
}

// keep retains the spans after Shutdown.
type keep struct{ *tracetest.InMemoryExporter }

func (keep) Shutdown(context.Context) error { return nil }

func TestOffIsSilentAndFree(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	tel, err := Setup(t.Context(), Config{Service: "capture"})
	if err != nil || tel.On() {
		t.Fatal(err)
	}
	header := map[string][]string{}
	m := Message{Template: "a.{b}"}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		tel.Send(ctx, m, header).End(nil)
		_, s := tel.Process(ctx, m, header)
		s.End(nil)
		_, s = tel.Start(ctx, "x", About{})
		s.End(nil)
		tel.Frame(256)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(header) != 0 || tel.Frame(256) {
		t.Error(header)
	}
	if err := tel.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestOneTraceAcrossAMessage(t *testing.T) {
	tel, exp := on(t, 0)
	header := map[string][]string{}
	tel.Send(t.Context(), Message{Template: "tidemark.cmd.v1.{site}.capture.mark.{id}", ID: "1"}, header).End(nil)
	if len(header["traceparent"]) != 1 {
		t.Fatal(header)
	}
	typed := map[string][]string{"Traceparent": header["traceparent"]} // as people type it
	ctx, s := tel.Process(t.Context(), Message{Template: "x", Group: "capture"}, typed)
	_, inner := tel.Start(ctx, "step", About{})
	inner.End(nil)
	s.End(cdp.Errorf(cdp.Conflict, "mark", "vm1", "no"))
	_, batch := tel.ProcessLinked(t.Context(), Message{Template: "frames"}, header, header, nil)
	batch.End(errors.New("x"))
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := map[string]tracetest.SpanStub{}
	for _, s := range exp.GetSpans() {
		spans[s.Name] = s
	}
	send, process, step, linked := spans["send tidemark.cmd.v1.{site}.capture.mark.{id}"], spans["process x"], spans["step"], spans["process frames"]
	trace := send.SpanContext.TraceID()
	if !trace.IsValid() || process.SpanContext.TraceID() != trace || step.SpanContext.TraceID() != trace || process.Parent.SpanID() != send.SpanContext.SpanID() {
		t.Error("not one trace", spans)
	}
	if linked.SpanContext.TraceID() == trace || len(linked.Links) != 2 || linked.Links[0].SpanContext.TraceID() != trace {
		t.Error("the batch does not link", linked)
	}
	found := map[string]string{}
	for _, a := range append(send.Attributes, process.Attributes...) {
		found[string(a.Key)] = a.Value.AsString()
	}
	if found["messaging.system"] != "nats" || found["messaging.message.id"] != "1" || found["messaging.consumer.group.name"] != "capture" || found["error.type"] != "conflict" {
		t.Error(found)
	}
}

func TestFrameSampling(t *testing.T) {
	for every, want := range map[int]int{0: 4, 100: 10, -1: 0} {
		tel, _ := on(t, every)
		n := 0
		for no := cdp.FrameNo(1); no <= 1024; no++ {
			if tel.Frame(no) {
				n++
			}
		}
		if n != want {
			t.Errorf("one in %d: %d of 1024", every, n)
		}
		if err := tel.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestExport(t *testing.T) {
	var got atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/v1/traces") {
			got.Add(1)
		}
	}))
	defer srv.Close()
	tel, err := Setup(t.Context(), Config{Service: "capture", Site: "prod", Endpoint: srv.URL + "/v1/traces"})
	if err != nil {
		t.Fatal(err)
	}
	_, s := tel.Start(t.Context(), "x", About{})
	s.Set(About{Job: "web"})
	s.End(nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := tel.Close(ctx); err != nil || got.Load() != 1 {
		t.Fatal(got.Load(), err)
	}
}

// The URL of a collector may be written as in the standard variable, or whole.
func TestACollectorsURLIsThatOfTheStandardVariable(t *testing.T) {
	for _, given := range []string{"http://host:4318", "http://host:4318/", "http://host:4318/v1/traces"} {
		if got := tracesURL(given); got != "http://host:4318/v1/traces" {
			t.Errorf("%s: %s", given, got)
		}
	}
}

// What is asked until somebody answers is in the trace of who answers, and each try has no
// span of its own.
func TestAQuietRequestCarriesItsTraceOnly(t *testing.T) {
	tel, exp := on(t, 0)
	m := Message{Template: "tidemark.api.v1.{site}.vcenter.fence", Subject: "tidemark.api.v1.prod.vcenter.fence"}
	ctx, step := tel.Start(t.Context(), "failover owed fence", About{})
	var header map[string][]string
	for range 3 {
		header = map[string][]string{}
		tel.Ask(Quiet(ctx), m, header).End(nil)
	}
	_, answer := tel.Answer(t.Context(), m, header)
	answer.End(nil)
	step.End(nil)
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := exp.GetSpans()
	if len(got) != 2 || got[0].Parent.SpanID() != got[1].SpanContext.SpanID() || got[0].SpanContext.TraceID() != got[1].SpanContext.TraceID() {
		t.Errorf("%+v", got)
	}
}
