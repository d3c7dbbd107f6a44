// Package telemetry sets up OpenTelemetry tracing and makes the spans of messages
// on the bus.
//
// Tracing is on only when an endpoint is configured; otherwise every call is a
// no-op that allocates nothing and reports nothing. Trace context
// travels in message headers (W3C traceparent, read case-insensitively).
//
//	send <subject template>      a message is published
//	process <subject template>   a message is handled; a child of its send span
//
// A batch has one process span that links to its messages' send spans rather
// than nesting under one of them. Frames are many: one in FrameEvery has spans. So are
// requests: they have spans only within a trace. deploy/tracing.md lists all spans.
//
// What it never does: it registers no global provider, and it never fails or
// delays the work it describes; what cannot be exported is dropped.
package telemetry
