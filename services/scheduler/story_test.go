package scheduler_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/scheduler"
)

// world is the scheduler's surroundings in memory.
type world struct {
	mu     sync.Mutex
	states map[string]api.RunState
	revs   map[string]uint64
	told   []event.Payload
	marks  int
	linked bool
	gone   bool // the job was deleted
	jobCh  chan *spec.ReplicationJob
	runCh  chan api.RunState
}

func newWorld() *world {
	return &world{states: map[string]api.RunState{}, revs: map[string]uint64{}, linked: true,
		jobCh: make(chan *spec.ReplicationJob, 10), runCh: make(chan api.RunState, 10)}
}

type jobs struct{ *world }

func (w jobs) Get(_ context.Context, name string) (spec.ReplicationJob, uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name != "web" || w.gone {
		return spec.ReplicationJob{}, 0, cdp.Errorf(cdp.NotFound, "get", name, "no")
	}
	return web(), 1, nil
}

func (w jobs) Put(context.Context, string, spec.ReplicationJob, uint64) (uint64, error) {
	return 0, cdp.Errorf(cdp.Internal, "put", "", "not in this test")
}

func (w jobs) Delete(context.Context, string, uint64) error {
	return cdp.Errorf(cdp.Internal, "delete", "", "not in this test")
}

func (w jobs) List(context.Context) ([]spec.ReplicationJob, error) { return nil, nil }

func web() spec.ReplicationJob {
	return spec.ReplicationJob{Name: "web", RPO: spec.Duration(20 * time.Millisecond), Source: spec.Source{Site: "prod"}}
}

func (w jobs) Watch(ctx context.Context, fn func(string, *spec.ReplicationJob) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case j := <-w.jobCh:
			w.mu.Lock()
			w.gone = j == nil
			w.mu.Unlock()
			if err := fn("web", j); err != nil {
				return err
			}
		}
	}
}

type runs struct{ *world }

func (w runs) Get(_ context.Context, name string) (api.RunState, uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.states[name]
	if !ok {
		return s, 0, cdp.Errorf(cdp.NotFound, "get", name, "no")
	}
	return s, w.revs[name], nil
}

func (w runs) Put(_ context.Context, name string, s api.RunState, rev uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.revs[name] != rev {
		return cdp.Errorf(cdp.Conflict, "put", name, "revision")
	}
	w.states[name], w.revs[name] = s, rev+1
	w.runCh <- s
	return nil
}

func (w runs) Watch(ctx context.Context, fn func(string, *api.RunState) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case s := <-w.runCh:
			if err := fn("web", &s); err != nil {
				return err
			}
		}
	}
}

type noBad struct{}

func (noBad) Watch(ctx context.Context, _ func(scheduler.BadEntry) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (w *world) Mark(_ context.Context, _ cdp.Site, marks []api.Mark) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.linked {
		return cdp.Errorf(cdp.Transient, "mark", string(marks[0].Group), "no link")
	}
	w.marks += len(marks)
	return nil
}

func (w *world) Emit(_ context.Context, p event.Payload) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, p)
	return nil
}

func (w *world) count() (marks, told int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.marks, len(w.told)
}

func cmd(t *testing.T, id string, p event.Payload) event.Event {
	e, err := event.New(id, time.Now(), "/dr/operator", p)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestRunAndStop: commands are idempotent, marks come only while the job runs,
// and a lost link neither stops the cadence nor is made up for.
func TestRunAndStop(t *testing.T) {
	w := newWorld()
	s := scheduler.New(scheduler.Config{}, scheduler.Deps{Jobs: jobs{w}, Runs: runs{w}, Bad: noBad{}, Marks: w, Events: w, Clock: clock.System})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	j := web()
	w.jobCh <- &j
	if err := s.RunJob(ctx, cmd(t, "0", event.JobRun{Job: "nope"})); !cdp.Is(err, cdp.NotFound) {
		t.Fatal(err)
	}
	time.Sleep(60 * time.Millisecond)
	if n, _ := w.count(); n != 0 {
		t.Fatal("marked before it runs")
	}
	for range 2 { // the same command twice: kept once, told again in case that was lost
		if err := s.RunJob(ctx, cmd(t, "1", event.JobRun{Job: "web"})); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RunJob(ctx, cmd(t, "2", event.JobRun{Job: "web"})); !cdp.Is(err, cdp.Duplicate) {
		t.Fatal(err)
	}
	until := func(what string, ok func() bool) {
		for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("never:", what)
			}
		}
	}
	until("three marks", func() bool { n, _ := w.count(); return n >= 3 })
	w.mu.Lock()
	w.linked = false
	w.mu.Unlock()
	time.Sleep(60 * time.Millisecond)
	before, _ := w.count()
	w.mu.Lock()
	w.linked = true
	w.mu.Unlock()
	until("marks after the link came back", func() bool { n, _ := w.count(); return n > before })
	if err := s.StopJob(ctx, cmd(t, "3", event.JobStop{Job: "web"})); err != nil {
		t.Fatal(err)
	}
	until("quiet", func() bool {
		a, _ := w.count()
		time.Sleep(60 * time.Millisecond)
		b, _ := w.count()
		return a == b
	})
	// Deleted while it runs: it is stopped for good.
	if err := s.RunJob(ctx, cmd(t, "4", event.JobRun{Job: "web"})); err != nil {
		t.Fatal(err)
	}
	w.jobCh <- nil
	until("stopped by deletion", func() bool {
		st, _, _ := runs{w}.Get(ctx, "web")
		return st.Desired == api.DesiredStopped
	})
	until("told of the deletion", func() bool { _, n := w.count(); return n == 5 })
	stop()
	if err := <-ended; err != context.Canceled {
		t.Fatal(err)
	}
}
