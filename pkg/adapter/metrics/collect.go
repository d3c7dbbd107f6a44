package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/rpo"
)

const (
	// scrapeTime bounds what one scrape may wait for one service.
	scrapeTime = 5 * time.Second
	// stale is the age from which a measurement of the RPO is no data: a monitor that
	// hangs must not look like an RPO that stays good.
	stale = time.Minute
)

// Capture adds the groups that capture at a site answers with, until remove is called.
func (s *Server) Capture(site cdp.Site, ask func(context.Context) (api.CaptureStatusReply, error)) (remove func()) {
	return add(s, ask, func(to series, r api.CaptureStatusReply) {
		for _, g := range r.Groups {
			of := to.of(site, string(g.Group))
			of.state(subjects.Capture, string(g.State), event.CaptureStates())
			if g.State != event.CaptureStopped {
				of.gauge(backlogBytes, float64(g.Dirty))
				for _, cause := range event.ResyncCauses() {
					of.count(resyncsTotal, g.Resyncs[event.ResyncCause(cause)], cause)
				}
			}
		}
	})
}

// Journal adds the groups that the journal of a site answers with, until remove is
// called.
func (s *Server) Journal(site cdp.Site, ask func(context.Context) (api.StatusReply, error)) (remove func()) {
	return add(s, ask, func(to series, r api.StatusReply) {
		for _, g := range r.Groups {
			to.of(site, string(g.Group)).journal(g)
		}
	})
}

func (to jobSeries) journal(g api.GroupStatus) {
	to.state(subjects.Journal, string(g.State), event.JournalStates())
	if g.Limit > 0 {
		to.gauge(journalLimit, float64(g.Limit))
	}
	if g.History > 0 {
		to.gauge(historyObjective, g.History.Seconds())
	}
	if len(g.Disks) == 0 {
		return // the job has no journal yet
	}
	to.gauge(journalBytes, float64(g.Bytes))
	to.moment(lastReceived, g.Received)
	to.moment(lastCaptured, g.Sealed)
	if g.Oldest != nil && g.Newest != nil {
		to.gauge(historySeconds, g.Newest.Time.Sub(g.Oldest.Time).Seconds())
	}
	if g.ClockBound > 0 {
		to.gauge(clockOffset, g.ClockOffset.Seconds())
		to.gauge(clockBound, g.ClockBound.Seconds())
	}
}

// RPO adds the records of a site's RPO monitor, by job and as its newest round left
// them, until remove is called.
func (s *Server) RPO(site cdp.Site, ask func(context.Context) (map[string]rpo.Record, error)) (remove func()) {
	return add(s, ask, func(to series, records map[string]rpo.Record) {
		now := time.Now()
		for job, r := range records {
			to.of(site, job).rpo(r, now)
		}
	})
}

func (to jobSeries) rpo(r rpo.Record, now time.Time) {
	to.gauge(rpoObjective, r.Objective.Seconds())
	if r.Point != nil {
		to.moment(lastPoint, r.Point.Time)
	}
	if r.Status == rpo.NoData || now.Sub(r.At) > stale {
		return
	}
	to.gauge(rpoSeconds, r.Value.Seconds())
	to.gauge(rpoBound, r.Bound.Seconds())
}

// add has each scrape ask, and tell what was answered. An error is no data: the
// scrape goes on without it, and counts it.
func add[T any](s *Server, ask func(context.Context) (T, error), tell func(series, T)) (remove func()) {
	if s == nil {
		return func() {}
	}
	return s.source(func(to series) {
		ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
		defer cancel()
		answer, err := ask(ctx)
		if err != nil {
			to <- prometheus.NewInvalidMetric(groupState, err)
			return
		}
		tell(to, answer)
	})
}

// series takes the series of a scrape.
type series chan<- prometheus.Metric

// jobSeries takes those of a job.
type jobSeries struct {
	series
	labels []string
}

func (s series) of(site cdp.Site, job string) jobSeries {
	return jobSeries{s, []string{string(site), job}}
}

func (to jobSeries) gauge(d *prometheus.Desc, v float64, more ...string) {
	to.series <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append(to.labels[:2:2], more...)...)
}

func (to jobSeries) count(d *prometheus.Desc, n uint64, more ...string) {
	to.series <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), append(to.labels[:2:2], more...)...)
}

// moment is a time, in seconds since 1970; the zero time is no data.
func (to jobSeries) moment(d *prometheus.Desc, t time.Time) {
	if !t.IsZero() {
		to.gauge(d, float64(t.UnixNano())/1e9)
	}
}

func (to jobSeries) state(service, now string, states []string) {
	for _, state := range states {
		v := 0.0
		if state == now {
			v = 1
		}
		to.gauge(groupState, v, service, state)
	}
}
