package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
)

// markedSites notes when each group was marked, and how many messages that took.
type markedSites struct {
	mu       sync.Mutex
	messages int
	at       map[cdp.GroupID][]time.Time
	gone     cdp.Site // it answers nobody
}

func (m *markedSites) Mark(_ context.Context, site cdp.Site, marks []api.Mark) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.messages++
	if site == m.gone {
		return errors.New("nobody answers")
	}
	for _, x := range marks {
		m.at[x.Group] = append(m.at[x.Group], time.Now())
	}
	return nil
}

// A thousand jobs are marked at the pace of their RPO, in few messages; a source site
// that is gone delays no other.
func TestMarksOfManyJobsGoTogether(t *testing.T) {
	const jobs, every = 1000, 30 * time.Second
	synctest.Test(t, func(t *testing.T) {
		m := &markedSites{at: map[cdp.GroupID][]time.Time{}, gone: "lost"}
		s := New(Config{}, Deps{Marks: m, Clock: clock.System})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.keep(ctx) }()
		defer func() {
			stop()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}()
		begin := func(name string, site cdp.Site) {
			s.beat.change(name, func(d *cadence) { d.known, d.running, d.site, d.every, d.next = true, true, site, every, time.Now() })
		}
		begin("far", "lost")
		for i := range jobs {
			begin(fmt.Sprint("vm", i), "prod")
			time.Sleep(every / jobs)
		}
		synctest.Wait()
		m.mu.Lock()
		if n := len(m.at); n != jobs {
			t.Errorf("%d of %d jobs were marked when they began", n, jobs)
		}
		m.messages = 0
		m.mu.Unlock()
		time.Sleep(4 * every)
		synctest.Wait()
		m.mu.Lock()
		defer m.mu.Unlock()
		if most := 4*int(every/time.Second)*2 + 4; m.messages > most {
			t.Errorf("%d messages in %v, at most two a second expected", m.messages, 4*every)
		}
		for g, at := range m.at {
			for i := 1; i < len(at); i++ {
				if gap := at[i].Sub(at[i-1]); gap > every+time.Second/2 {
					t.Fatalf("%s was not marked for %v", g, gap)
				}
			}
			if len(at) < 4 {
				t.Fatalf("%s was marked %d times in four RPOs", g, len(at))
			}
		}
	})
}
