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
		s.s.SetAttributes(attribute.String("error.type", string(cdp.KindOf(err))))
		s.s.SetStatus(codes.Error, err.Error())
	}
	s.s.End()
}

// Set adds an attribute.
func (s Span) Set(key, value string) {
	if s.s != nil {
		s.s.SetAttributes(attribute.String(key, value))
	}
}

// Message describes a message of the bus for its span.
type Message struct {
	// Template is the subject with {names} for what varies.
	Template string
	// ID is the event's id; Group the consumer group that handles it.
	ID, Group string
}

func (m Message) attributes(operation string) []attribute.KeyValue {
	a := []attribute.KeyValue{
		attribute.String("messaging.system", "nats"),
		attribute.String("messaging.operation.type", operation),
		attribute.String("messaging.operation.name", operation),
		attribute.String("messaging.destination.template", m.Template),
	}
	if m.ID != "" {
		a = append(a, attribute.String("messaging.message.id", m.ID))
	}
	if m.Group != "" {
		a = append(a, attribute.String("messaging.consumer.group.name", m.Group))
	}
	return a
}

// Start begins a span of the service's own work, such as a step of a failover.
func (t *Telemetry) Start(ctx context.Context, name string) (context.Context, Span) {
	if !t.on {
		return ctx, Span{}
	}
	ctx, s := t.tracer.Start(ctx, name)
	return ctx, Span{s}
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
