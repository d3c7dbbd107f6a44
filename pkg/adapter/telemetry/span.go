package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"tidemark.dev/pkg/cdp"
)

// Span is one piece of work. All its methods may be called when tracing is off.
type Span struct{ s trace.Span }

// End ends the span; err, if not nil, marks it failed.
func (s Span) End(err error) {
	if s.s == nil {
		return
	}
	if err != nil {
		s.s.RecordError(err)
		s.s.SetAttributes(attribute.String("error.type", string(cdp.KindOf(err))))
		s.s.SetStatus(codes.Error, err.Error())
	}
	s.s.End()
}

// Trace is the id of the trace that the span is in; empty when tracing is off.
func (s Span) Trace() string {
	if s.s == nil {
		return ""
	}
	return s.s.SpanContext().TraceID().String()
}

// Set adds what the work is about.
func (s Span) Set(of About) {
	if s.s != nil {
		s.s.SetAttributes(of.attributes()...)
	}
}

// Message describes a message of the bus for its span.
type Message struct {
	// Subject is where the message goes; Template is that with {names} for what varies.
	Subject, Template string
	// ID is the event's id; Group the consumer group that handles it.
	ID, Group string
	// Data is its JSON, from which the span takes what it is about.
	Data []byte
}

func (m Message) attributes(operation string) []attribute.KeyValue {
	a := []attribute.KeyValue{
		attribute.String("messaging.system", "nats"),
		attribute.String("messaging.operation.type", operation),
		attribute.String("messaging.operation.name", operation),
		attribute.String("messaging.destination.template", m.Template),
	}
	for _, x := range [][2]string{{"messaging.destination.name", m.Subject}, {"messaging.message.id", m.ID}, {"messaging.consumer.group.name", m.Group}} {
		if x[1] != "" {
			a = append(a, attribute.String(x[0], x[1]))
		}
	}
	return append(a, about(m.Data)...)
}

// Start begins a span of the process's own work, such as a step of a failover.
func (t *Telemetry) Start(ctx context.Context, name string, of About) (context.Context, Span) {
	if !t.on {
		return ctx, Span{}
	}
	ctx, s := t.tracer.Start(ctx, name, trace.WithAttributes(of.attributes()...))
	return ctx, Span{s}
}

// Within is Start for work that is worth a span only as a part of something: outside
// of a trace there is none.
func (t *Telemetry) Within(ctx context.Context, name string, of About) (context.Context, Span) {
	if !traced(ctx) {
		return ctx, Span{}
	}
	return t.Start(ctx, name, of)
}

// Silent is ctx without its trace: for polls, of which a trace would have hundreds.
func Silent(ctx context.Context) context.Context {
	if !traced(ctx) {
		return ctx
	}
	return trace.ContextWithSpanContext(ctx, trace.SpanContext{})
}

// quiet is the key of a context whose requests have no span.
type quiet struct{}

// Quiet is ctx whose requests carry its trace and have no span of their own: for what is
// asked again and again until somebody answers.
func Quiet(ctx context.Context) context.Context { return context.WithValue(ctx, quiet{}, true) }

// traced reports whether ctx is within a trace.
func traced(ctx context.Context) bool { return trace.SpanContextFromContext(ctx).IsValid() }

// Ask is Send for a request. Services ask each other all the time: a request has a
// span only within a trace, and not where that is Quiet.
func (t *Telemetry) Ask(ctx context.Context, m Message, header map[string][]string) Span {
	if !traced(ctx) {
		return Span{}
	}
	if ctx.Value(quiet{}) != nil && t.on {
		t.prop.Inject(ctx, carrier(header))
		return Span{}
	}
	return t.Send(ctx, m, header)
}

// Answer is Process for a request: one that came without a trace has no span.
func (t *Telemetry) Answer(ctx context.Context, m Message, header map[string][]string) (context.Context, Span) {
	if !t.on || !traced(t.prop.Extract(context.Background(), carrier(header))) {
		return ctx, Span{}
	}
	return t.Process(ctx, m, header)
}

// Send begins the span of publishing m and writes its trace context to header.
func (t *Telemetry) Send(ctx context.Context, m Message, header map[string][]string) Span {
	if !t.on {
		return Span{}
	}
	ctx, s := t.tracer.Start(ctx, "send "+m.Template, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(m.attributes("send")...))
	t.prop.Inject(ctx, carrier(header))
	return Span{s}
}

// Process begins the span of handling a message, a child of the span that sent
// it. The context it returns goes to the handler.
func (t *Telemetry) Process(ctx context.Context, m Message, header map[string][]string) (context.Context, Span) {
	if !t.on {
		return ctx, Span{}
	}
	ctx = t.prop.Extract(ctx, carrier(header))
	ctx, s := t.tracer.Start(ctx, "process "+m.Template, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(m.attributes("process")...))
	return ctx, Span{s}
}

// ProcessLinked begins a span in ctx's trace, or in a new one, that links to the
// spans that sent the messages. It is for batches, and for messages that a
// schedule sent.
func (t *Telemetry) ProcessLinked(ctx context.Context, m Message, headers ...map[string][]string) (context.Context, Span) {
	if !t.on {
		return ctx, Span{}
	}
	attrs := m.attributes("process")
	if len(headers) > 1 {
		attrs = append(attrs, attribute.Int("messaging.batch.message_count", len(headers)))
	}
	var links []trace.Link
	for _, h := range headers {
		if sc := trace.SpanContextFromContext(t.prop.Extract(context.Background(), carrier(h))); sc.IsValid() {
			links = append(links, trace.Link{SpanContext: sc})
		}
	}
	ctx, s := t.tracer.Start(ctx, "process "+m.Template, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attrs...), trace.WithLinks(links...))
	return ctx, Span{s}
}

// Frame reports whether the frame of this number has spans.
func (t *Telemetry) Frame(no cdp.FrameNo) bool {
	return t.on && t.frameEvery > 0 && uint64(no)%t.frameEvery == 0
}
