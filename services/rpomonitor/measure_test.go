package rpomonitor

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/rpo"
)

// world is everything around the monitor, in memory, with a simulated clock.
type world struct {
	*clock.Simulated
	groups  []api.GroupNewest
	silent  bool
	deaf    bool // no event can be emitted
	records map[string]rpo.Record
	round   rpo.Round
	puts    int // of records
	asked   int
	told    []string
}

func (w *world) Newest(context.Context) ([]api.GroupNewest, error) {
	w.asked++
	if w.silent {
		return nil, errors.New("nobody answers")
	}
	return w.groups, nil
}

func (w *world) Get(_ context.Context, job string) (rpo.Record, error) {
	r, ok := w.records[job]
	if !ok {
		return r, cdp.Errorf(cdp.NotFound, "get", job, "no")
	}
	return r, nil
}

func (w *world) Put(_ context.Context, job string, r rpo.Record) error {
	w.records[job] = r
	w.puts++
	return nil
}
func (w *world) PutRound(_ context.Context, r rpo.Round) error { w.round = r; return nil }
func (w *world) Delete(_ context.Context, job string) error    { delete(w.records, job); return nil }
func (w *world) Emit(_ context.Context, p event.Payload) error {
	if w.deaf {
		return cdp.Errorf(cdp.Transient, "emit", "", "no bus")
	}
	w.told = append(w.told, p.EventType()[len("tidemark.evt.v1.rpo."):])
	return nil
}

func (w *world) service() *Service {
	s := New(Config{}, Deps{Journal: w, Records: w, Events: w, Clock: w})
	_ = s.known.onJob("web", &spec.ReplicationJob{Name: "web", RPO: spec.Duration(4 * time.Second)})
	_ = s.known.onRun("web", true)
	return s
}

// second is one round of the monitor.
func (w *world) second(s *Service) rpo.Record {
	w.Advance(time.Second)
	s.ask(context.Background())
	s.measure(context.Background())
	return w.now("web")
}

// now is what a reader finds of a job.
func (w *world) now(job string) rpo.Record { return w.records[job].In(job, w.round) }

func TestABreachIsReportedOnce(t *testing.T) {
	w := &world{Simulated: clock.NewSimulated(time.Unix(5000, 0)), records: map[string]rpo.Record{}}
	s := w.service()
	if r := w.second(s); r.Status != rpo.NoData || len(w.told) != 0 {
		t.Fatalf("before the first point: %+v %v", r, w.told)
	}
	w.groups = []api.GroupNewest{{Group: "web", Frame: 1, Point: &cdp.Point{Frame: 1, Time: w.Now(), Bound: time.Millisecond}}}
	if r := w.second(s); r.Status != rpo.Met || r.Value != time.Second {
		t.Fatalf("%+v", r)
	}
	w.silent = true // the journal is gone; the RPO grows all the same
	for i := range 8 {
		if i == 4 { // the breach cannot be emitted when it happens
			w.deaf = true
		}
		w.second(s)
	}
	w.deaf = false
	if r := w.second(s); r.Status != rpo.Breached || r.Value != 10*time.Second {
		t.Fatalf("%+v", r)
	}
	s = w.service() // a restart does not report it again
	for range 12 {
		w.second(s)
	}
	if n := count(w.told, "breached"); n != 1 {
		t.Fatalf("reported %d times: %v", n, w.told)
	}
	w.silent = false
	for i := range 10 {
		w.groups[0].Point = &cdp.Point{Frame: cdp.FrameNo(2 + i), Time: w.Now(), Bound: time.Millisecond}
		w.second(s)
	}
	if r := w.now("web"); r.Status != rpo.Met || count(w.told, "restored") != 1 {
		t.Fatalf("%+v %v", r, w.told)
	}
	if n := count(w.told, "measured"); n < 3 || n > 5 { // 33 s, at most one in ten, and one per start
		t.Fatalf("measured %d times", n)
	}
	w.groups[0].State = "halted"
	if r := w.second(s); r.Status != rpo.NoData {
		t.Fatalf("failed over, but %+v", r)
	}
	_ = s.known.onJob("web", nil)
	w.second(s)
	if len(w.records) != 0 {
		t.Fatal("the record of a deleted job stays")
	}
}

// The event of a point may arrive before an answer of the journal that has it.
func TestAPointsEventMayArriveBeforeTheJournalsAnswer(t *testing.T) {
	k := newKnown()
	old := cdp.Point{Frame: 3}
	_ = k.onPoint("web", cdp.Point{Frame: 7}, false)
	k.onAnswer([]api.GroupNewest{{Group: "web", Frame: 7, Point: &old}}, time.Now())
	if p := k.all()["web"].point; p == nil || p.Frame != 7 {
		t.Fatal(p)
	}
	_ = k.onPoint("web", cdp.Point{Frame: 7}, true)
	k.onAnswer([]api.GroupNewest{{Group: "web", Frame: 8, Point: &old}}, time.Now())
	if p := k.all()["web"].point; p == nil || p.Frame != 3 {
		t.Fatal("deleted, but", p)
	}
}

func count(all []string, what string) int {
	return len(slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s != what }))
}
