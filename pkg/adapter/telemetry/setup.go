package telemetry

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"tidemark.dev/pkg/cdp"
)

// DefaultFrameEvery is one in how many frames has spans.
const DefaultFrameEvery = 256

// Config says where spans go.
type Config struct {
	// Service and Site name the process in the traces: "tidemark-" and the service is
	// service.name. See For.
	Service, Site string
	// Endpoint is the URL of an OTLP/HTTP collector. If empty,
	// OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT apply; if
	// they are empty too, tracing is off.
	Endpoint string
	// FrameEvery: default DefaultFrameEvery; negative means no frame at all.
	FrameEvery int
	// Exporter replaces the OTLP exporter, for tests.
	Exporter sdktrace.SpanExporter
}

// Telemetry makes spans. The zero value is not usable: see Off and Setup.
type Telemetry struct {
	tracer     trace.Tracer
	site       string
	out        sdktrace.SpanProcessor // nil: off
	prop       propagation.TextMapPropagator
	frameEvery uint64
	on         bool
	close      func(context.Context) error
}

// Off makes no spans.
func Off() *Telemetry {
	return &Telemetry{tracer: noop.NewTracerProvider().Tracer(""), prop: propagation.TraceContext{}}
}

// Setup starts tracing if an endpoint is configured, else it returns Off.
func Setup(ctx context.Context, cfg Config) (*Telemetry, error) {
	env := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") + os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if cfg.Endpoint == "" && env == "" && cfg.Exporter == nil {
		return Off(), nil
	}
	exp := cfg.Exporter
	if exp == nil {
		var opts []otlptracehttp.Option
		if cfg.Endpoint != "" {
			opts = append(opts, otlptracehttp.WithEndpointURL(tracesURL(cfg.Endpoint)))
		}
		var err error
		if exp, err = otlptracehttp.New(ctx, opts...); err != nil {
			e := &cdp.Error{Op: "start tracing", Kind: cdp.Invalid, Subject: cfg.Endpoint, Cause: err}
			return nil, e.WithHint("the endpoint is a URL such as http://collector:4318")
		}
	}
	out := sdktrace.NewBatchSpanProcessor(exp, sdktrace.WithBatchTimeout(time.Second))
	t := &Telemetry{site: cfg.Site, out: out, prop: propagation.TraceContext{}, on: true, close: out.Shutdown}
	t.tracer = t.tracerOf(cfg.Service)
	switch {
	case cfg.FrameEvery == 0:
		t.frameEvery = DefaultFrameEvery
	case cfg.FrameEvery > 0:
		t.frameEvery = uint64(cfg.FrameEvery)
	}
	return t, nil
}

// tracerOf is what makes the spans of a service.
func (t *Telemetry) tracerOf(service string) trace.Tracer {
	res := resource.NewSchemaless(
		attribute.String("service.name", "tidemark-"+service),
		attribute.String("service.namespace", "tidemark"),
		attribute.String("tidemark.site", t.site),
		attribute.String("service.instance.id", t.site+"/"+service+"/"+strconv.Itoa(os.Getpid())),
	)
	return sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(t.out), sdktrace.WithResource(res)).Tracer("tidemark.dev/pkg/adapter/telemetry")
}

// For is t for one of the services of a process, whose spans have its name. It ends
// with t, and is not closed.
func (t *Telemetry) For(service string) *Telemetry {
	if !t.on {
		return t
	}
	x := *t
	x.close, x.tracer = nil, t.tracerOf(service)
	return &x
}

// On reports whether spans are made.
func (t *Telemetry) On() bool { return t.on }

// Close exports the remaining spans, within ctx, and stops tracing.
func (t *Telemetry) Close(ctx context.Context) error {
	if t.close == nil {
		return nil
	}
	if err := t.close(ctx); err != nil {
		return &cdp.Error{Op: "stop tracing", Kind: cdp.Transient, Cause: err}
	}
	return nil
}

// tracesURL is where a collector takes traces. Its URL is as in
// OTEL_EXPORTER_OTLP_ENDPOINT, to which the path is added; a URL with it is taken, too.
func tracesURL(collector string) string {
	const path = "/v1/traces"
	return strings.TrimSuffix(strings.TrimRight(collector, "/"), path) + path
}
