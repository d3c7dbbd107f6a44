package node

import (
	"context"
	"sync"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/metrics"
	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/engine/spool"
)

// journalFacts emits what happens in the journals as events. An event of a point
// is part of the trace of the frame that made the point.
type journalFacts struct {
	e       *env
	conn    *bus.Conn
	timings *metrics.WritePath

	mu sync.Mutex
	// traced holds, by group, the trace of the newest frame that carried one.
	traced map[cdp.GroupID]tracedFrame
}

type tracedFrame struct {
	no  cdp.FrameNo
	ctx context.Context
}

func (w *journalFacts) emit(ctx context.Context, p event.Payload) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := w.conn.Emit(ctx, p); err != nil {
		w.e.warn(err)
	}
}

func (w *journalFacts) PointCreated(ctx context.Context, g cdp.GroupID, p cdp.Point) {
	w.mu.Lock()
	if t := w.traced[g]; t.no == p.Frame {
		ctx = t.ctx
	}
	w.mu.Unlock()
	w.emit(ctx, event.PointCreated{Group: g, Point: p})
}

func (w *journalFacts) PointChanged(ctx context.Context, g cdp.GroupID, p cdp.Point, change event.PointChange) {
	w.emit(ctx, event.PointChanged{Group: g, Point: p, Change: change})
}

func (w *journalFacts) HorizonMoved(ctx context.Context, g cdp.GroupID, b cdp.Bounds, reason string) {
	w.emit(ctx, event.HorizonMoved{Group: g, Reason: reason, Bounds: b})
}

func (w *journalFacts) StateChanged(ctx context.Context, g cdp.GroupID, state event.JournalState, reason string) {
	w.emit(ctx, event.JournalStateChanged{Group: g, State: state, Reason: reason})
}

func (w *journalFacts) Alarm(ctx context.Context, g cdp.GroupID, kind, text string) {
	w.emit(ctx, event.JournalAlarm{Group: g, Kind: kind, Text: text})
}

// Stored notes the trace of a frame that carries one: the point that the frame
// makes belongs to it.
func (w *journalFacts) Stored(ctx context.Context, g cdp.GroupID, m spool.Message, took time.Duration) {
	if m.Header["Traceparent"] == nil && m.Header["traceparent"] == nil {
		w.timings.Stored(took, "")
		return
	}
	ctx, span := w.e.tel.Process(ctx, telemetry.Message{Template: "tidemark.write.v1.{site}.{group}"}, m.Header)
	span.Set(telemetry.About{Job: string(g), Group: string(g)})
	span.End(nil)
	w.timings.Stored(took, telemetry.TraceID(ctx))
	w.mu.Lock()
	w.traced[g] = tracedFrame{m.No, context.WithoutCancel(ctx)}
	w.mu.Unlock()
}
