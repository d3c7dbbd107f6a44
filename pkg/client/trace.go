package client

import (
	"context"
	"os"
	"time"

	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
)

// Trace is the trace of one thing that somebody does with a client: all that comes of
// it, at both sites, is a part of it. Nil: there is none.
type Trace struct {
	tel  *telemetry.Telemetry
	span telemetry.Span
}

// BeginTrace begins a trace if the standard variables name a collector
// (OTEL_EXPORTER_OTLP_ENDPOINT); else it returns ctx and nil. The context is for what
// is done, and the trace is for Config.
func BeginTrace(ctx context.Context, name string, site cdp.Site) (context.Context, *Trace, error) {
	tel, err := telemetry.Setup(ctx, telemetry.Config{Service: "cli", Site: string(site)})
	if err != nil || !tel.On() {
		return ctx, nil, err
	}
	// A script that has a trace of its own passes it on in this variable.
	ctx = telemetry.Join(ctx, os.Getenv("TRACEPARENT"))
	ctx, span := tel.Start(ctx, name, telemetry.About{})
	return ctx, &Trace{tel, span}, nil
}

// End ends the trace with the outcome of what was done. A collector that does not
// answer is waited for two seconds.
func (t *Trace) End(outcome error) {
	if t == nil {
		return
	}
	t.span.End(outcome)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = t.tel.Close(ctx) // tracing never fails what it describes
}

func (t *Trace) telemetry() *telemetry.Telemetry {
	if t == nil {
		return nil
	}
	return t.tel
}
