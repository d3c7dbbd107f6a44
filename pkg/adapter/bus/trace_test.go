package bus_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

type keep struct{ *tracetest.InMemoryExporter }

func (keep) Shutdown(context.Context) error { return nil }

// traceRig has a capture service at prod and a journal at dr, which share one
// exporter. Every second frame is sampled.
type traceRig struct {
	exp              *tracetest.InMemoryExporter
	tel              *telemetry.Telemetry
	capture, journal *bus.Conn
}

func newTraceRig(t *testing.T) *traceRig {
	s := bustest.Start(t)
	r := &traceRig{exp: tracetest.NewInMemoryExporter()}
	var err error
	if r.tel, err = telemetry.Setup(t.Context(), telemetry.Config{Service: "test", Exporter: keep{r.exp}, FrameEvery: 2}); err != nil {
		t.Fatal(err)
	}
	connect := func(srv *bus.Server, name string) *bus.Conn {
		c, err := bus.Connect(t.Context(), bus.Config{Site: srv.Site(), Name: name, Server: srv, Telemetry: r.tel})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	r.capture, r.journal = connect(s.Prod, "capture"), connect(s.DR, "journal")
	return r
}

// A command, the event that its handler emits and the request that it makes are
// one trace.
func TestACommandIsOneTrace(t *testing.T) {
	r := newTraceRig(t)
	background(t, func(ctx context.Context) error {
		return r.journal.Serve(ctx, "journal", map[string]api.Endpoint{api.JournalCursor: func(context.Context, []byte) (any, error) { return 1, nil }})
	})
	ask := func(ctx context.Context) error {
		return r.capture.Request(ctx, "dr", "journal", api.JournalCursor, nil, nil)
	}
	bustest.Eventually(t, "serving", func() bool { return ask(t.Context()) == nil })
	done := make(chan struct{})
	handled := sync.OnceFunc(func() { close(done) })
	stop := background(t, func(ctx context.Context) error {
		return r.capture.HandleCommands(ctx, "capture", map[string]bus.Handler{"mark": func(ctx context.Context, e event.Event) error {
			if err := ask(ctx); err != nil {
				return err
			}
			if err := r.capture.Emit(ctx, event.CaptureProgress{Group: "vm1"}); err != nil {
				return err
			}
			handled()
			return nil
		}})
	})
	ctx, root := r.tel.Start(t.Context(), "root", telemetry.About{})
	if _, err := r.journal.Command(ctx, "prod", event.CaptureMark{Group: "vm1"}); err != nil {
		t.Fatal(err)
	}
	<-done
	stop() // the process span ends after its handler
	root.End(nil)
	if err := r.tel.Close(t.Context()); err != nil {
		t.Error(err)
	}
	names := r.traceOf("root")
	for _, want := range []string{
		"send tidemark.cmd.v1.{site}.capture.mark.{id}", "process tidemark.cmd.v1.{site}.capture.mark.{id}",
		"send tidemark.api.v1.{site}.journal.cursor", "process tidemark.api.v1.{site}.journal.cursor",
		"send tidemark.evt.v1.{site}.capture.progress.{id}",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("no span %q in %q", want, names)
		}
	}
}

// traceOf names the spans in the trace of a span.
func (r *traceRig) traceOf(name string) (names []string) {
	spans := r.exp.GetSpans()
	i := slices.IndexFunc(spans, func(x tracetest.SpanStub) bool { return x.Name == name })
	for _, x := range spans {
		if i >= 0 && x.SpanContext.TraceID() == spans[i].SpanContext.TraceID() {
			names = append(names, x.Name)
		}
	}
	return names
}

// A sampled frame carries its trace context, and no other frame does.
func TestSampledFramesCarryTheirTrace(t *testing.T) {
	r := newTraceRig(t)
	sink, err := bus.OpenFrames(t.Context(), r.capture, "vm1", "dr", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	source, err := bus.OpenSource(r.journal, "prod", "vm1")
	if err != nil {
		t.Fatal(err)
	}
	for no := cdp.FrameNo(1); no <= 4; no++ {
		if err := sink.Publish(spooltest.Make(no, 1, 512)); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		<-sink.Results()
	}
	var traced []cdp.FrameNo
	_ = source.Pull(t.Context(), 1, nil, func(m spool.Message) error {
		if m.Header["traceparent"] != nil {
			traced = append(traced, m.No)
		}
		if m.No == 4 {
			return errDone
		}
		return nil
	})
	if !slices.Equal(traced, []cdp.FrameNo{2, 4}) {
		t.Error("traced frames", traced)
	}
	no, first := sink.Traced(3)
	last, second := sink.Traced(4)
	if no != 2 || last != 4 || len(first) != 32 || len(second) != 32 || first == second {
		t.Errorf("the trace of frame %d is %q, that of frame %d %q", no, first, last, second)
	}
	if no, id := sink.Traced(4); id != "" {
		t.Errorf("frame %d was told twice", no)
	}
	// With the connection closed nothing is sent, and Close still succeeds.
	r.capture.Close()
	if err := sink.Publish(spooltest.Make(5, 1, 512)); !cdp.Is(err, cdp.Transient) {
		t.Error(err)
	}
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
	if err := r.tel.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
