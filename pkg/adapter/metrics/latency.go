package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tidemark.dev/pkg/cdp"
)

// latencies are histograms of the way of a write, by site. They are the only figures that
// the package keeps itself: no status of a service has them.
type latencies struct{ written, durable, stored *prometheus.HistogramVec }

// buckets reach from a write to memory to a link that is down, in seconds.
var buckets = []float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10, 30}

func newLatencies() latencies {
	of := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tidemark_" + name, Help: help, Buckets: buckets}, labels[:1])
	}
	return latencies{
		written: of("guest_write_seconds", "How long guests waited for capture to answer a write."),
		durable: of("frame_durable_seconds", "How long after capture closed a frame its target reported it durable."),
		stored:  of("journal_store_seconds", "How long after a frame arrived the journal had it on disk."),
	}
}

func (l latencies) all() []*prometheus.HistogramVec {
	return []*prometheus.HistogramVec{l.written, l.durable, l.stored}
}

// WritePath times the way of writes at a site. A nil one does nothing. It is safe for
// concurrent use.
type WritePath struct {
	of   latencies
	site string
}

// WritePath is where services of a site report how long the way of a write takes.
func (s *Server) WritePath(site cdp.Site) *WritePath {
	if s == nil {
		return nil
	}
	return &WritePath{s.latencies, string(site)}
}

// Written: capture answered a guest's write that long after it came.
func (w *WritePath) Written(took time.Duration) {
	if w != nil {
		w.of.written.WithLabelValues(w.site).Observe(took.Seconds())
	}
}

// Durable: a frame is known to be durable that long after it was closed. trace, if not
// empty, is the trace that the frame is part of, and becomes an exemplar.
func (w *WritePath) Durable(took time.Duration, trace string) {
	if w != nil {
		observe(w.of.durable.WithLabelValues(w.site), took, trace)
	}
}

// Stored: a frame is on disk that long after it arrived. trace is as in Durable.
func (w *WritePath) Stored(took time.Duration, trace string) {
	if w != nil {
		observe(w.of.stored.WithLabelValues(w.site), took, trace)
	}
}

func observe(in prometheus.Observer, took time.Duration, trace string) {
	if trace == "" {
		in.Observe(took.Seconds())
		return
	}
	in.(prometheus.ExemplarObserver).ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": trace})
}
