package rpomonitor

import (
	"fmt"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/core/rpo"
)

// Many idle jobs: what is stored and asked is in proportion to their points, and yet
// a reader sees the RPO of every second.
func TestAnIdleJobIsStoredOnceAPoint(t *testing.T) {
	const jobs, every, cycles = 500, 20, 4
	w := &world{Simulated: clock.NewSimulated(time.Unix(5000, 0)), records: map[string]rpo.Record{}}
	s := New(Config{}, Deps{Journal: w, Records: w, Events: w, Clock: w})
	name := func(i int) string { return fmt.Sprintf("vm%d", i) }
	for i := range jobs {
		_ = s.known.onJob(name(i), &spec.ReplicationJob{Name: name(i), RPO: spec.Duration(every * time.Second)})
		_ = s.known.onRun(name(i), true)
		w.groups = append(w.groups, api.GroupNewest{Group: cdp.GroupID(name(i))})
	}
	for n := range every * cycles {
		if n%every == 0 {
			p := cdp.Point{Frame: cdp.FrameNo(n + 1), Time: w.Now(), Bound: time.Millisecond}
			for i := range jobs {
				_ = s.known.onPoint(cdp.GroupID(name(i)), p, false)
				w.groups[i].Point, w.groups[i].Frame = &p, p.Frame
			}
		}
		w.second(s)
		for i := range jobs {
			if r := w.now(name(i)); r.Status != rpo.Met || !r.At.Equal(w.Now()) || r.Value != time.Duration(n%every+1)*time.Second {
				t.Fatalf("after %d s: %+v", n, r)
			}
		}
	}
	if most := jobs * (cycles + 2); w.puts > most {
		t.Errorf("%d jobs with %d points each were stored %d times, at most %d expected", jobs, cycles, w.puts, most)
	}
	if most := jobs + 2*every*cycles; len(w.told) > most { // each job's first, and two a second
		t.Errorf("%d events, at most %d expected", len(w.told), most)
	}
	if w.asked > every*cycles/2 {
		t.Errorf("the journal was asked for %d groups %d times in %d s", jobs, w.asked, every*cycles)
	}
}

// A job whose record cannot be stored does not look measured, and the others do.
func TestARoundVouchesOnlyForWhatIsStored(t *testing.T) {
	stored := rpo.Record{State: rpo.State{Status: rpo.Met, Value: time.Second, At: time.Unix(10, 0)}}
	round := rpo.Round{At: time.Unix(15, 0), Missing: []string{"db"}}
	if r := stored.In("db", round); r.At != stored.At || r.Value != time.Second {
		t.Errorf("%+v", r)
	}
	if r := stored.In("web", round); !r.At.Equal(round.At) || r.Value != 6*time.Second {
		t.Errorf("%+v", r)
	}
	if r := stored.In("web", rpo.Round{At: time.Unix(9, 0)}); r.Value != time.Second {
		t.Errorf("a round before the record changes it: %+v", r)
	}
}
