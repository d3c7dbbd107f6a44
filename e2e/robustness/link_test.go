package robustness

import (
	"fmt"
	"testing"
	"time"

	"tidemark.dev/e2e/robustness/traffic"
)

// health is what `tidemark status -o json` says of a job.
type health struct {
	Job      string `json:"job"`
	State    string `json:"state"`
	Problems []struct{ Text, Do string }
	Measured struct {
		Value  time.Duration `json:"valueNanos"`
		Status string        `json:"status"`
	} `json:"measured"`
}

func (w *world) health() (health, error) {
	var all []health
	if err := w.JSON(w.t.Context(), &all, "status", w.job); err != nil {
		return health{}, err
	}
	if len(all) != 1 {
		return health{}, fmt.Errorf("status tells of %d jobs", len(all))
	}
	return all[0], nil
}

// during runs fn, and gives the guests' pace meanwhile.
func (w *world) during(fn func()) traffic.Pace {
	from := w.record.Now()
	fn()
	to := w.record.Now()
	time.Sleep(50 * time.Millisecond)
	return w.record.Pace(from, to)
}

// keepsPace fails if the guests felt something.
func (w *world) keepsPace(what string, before, now traffic.Pace) {
	w.t.Helper()
	w.t.Logf("%s: %v", what, now)
	if now.Slowest > time.Second {
		w.t.Errorf("%s: a write took %v", what, now.Slowest)
	}
	if now.PerSec < before.PerSec/2 {
		w.t.Errorf("%s: %.0f writes/s, before it %.0f", what, now.PerSec, before.PerSec)
	}
}

// A link that is cut, slow, or flaps costs RPO and nothing else: no plan starts, until the
// source is killed.
func TestLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "rollback")
	w.watched()
	w.guests.Start()
	w.protected()
	before := w.during(func() { time.Sleep(4 * time.Second) })
	t.Logf("before: %v", before)

	cut := w.during(func() {
		w.Link.Cut()
		time.Sleep(*cutFlag)
	})
	w.keepsPace("the link is cut", before, cut)
	w.nothingStarts()
	h, err := w.health()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("cut for %v: %s, RPO %v, problems %v", *cutFlag, h.State, h.Measured.Value, h.Problems)
	if h.Measured.Value < *cutFlag-3*time.Second || h.Measured.Value > *cutFlag+10*time.Second {
		t.Errorf("the link is cut for %v, and the RPO is reported as %v", *cutFlag, h.Measured.Value)
	}
	if h.State != "RPO breached" || len(h.Problems) == 0 {
		t.Errorf("the link is cut, and the status is %q, %v", h.State, h.Problems)
	}
	s, err := w.status()
	if err != nil {
		t.Fatal(err)
	}
	if s.State != "link-down" {
		t.Errorf("the link is cut, and the journal's state is %q (%s)", s.State, s.Reason)
	}
	w.Link.Heal()
	back := w.eventually("the RPO is back", 60*time.Second, func() error {
		h, err := w.health()
		if err == nil && (h.Measured.Value > 4*time.Second || h.State != "protected") {
			err = fmt.Errorf("%s, RPO %v, %v", h.State, h.Measured.Value, h.Problems)
		}
		return err
	})
	t.Logf("protected again %v after the link was back", back.Round(100*time.Millisecond))
	w.validate(0)

	slow := w.during(func() {
		w.Link.Delay(150 * time.Millisecond)
		time.Sleep(4 * time.Second)
	})
	w.keepsPace("the link is slow", before, slow)
	w.Link.Delay(0)

	flap := w.during(func() {
		for range 12 {
			w.Link.Cut()
			time.Sleep(w.some(200))
			w.Link.Heal()
			time.Sleep(w.some(700))
		}
	})
	w.keepsPace("the link flaps", before, flap)

	// Nothing comes, and nothing says so: as when packets are dropped.
	still := w.during(func() {
		w.Link.Delay(8 * time.Second)
		time.Sleep(6 * time.Second)
		w.Link.Cut() // what was held back is lost
		w.Link.Delay(0)
		w.Link.Heal()
	})
	w.keepsPace("the link is silent", before, still)
	w.settle()
	w.oneChain()
	w.startsOnce()
}

// oneChain: the journal has what capture has given, no more and no less.
func (w *world) oneChain() {
	w.t.Helper()
	w.eventually("the journal has all", 20*time.Second, func() error {
		c, err := w.captureStatus()
		if err != nil {
			return err
		}
		s, err := w.status()
		if err != nil {
			return err
		}
		if s.Bounds.Head != c.Seq || s.Frame != c.Durable || c.InFlight > 0 {
			return fmt.Errorf("capture is at write %d, %d frames on the way, durable %d; the journal has write %d in frame %d", c.Seq, c.InFlight, c.Durable, s.Bounds.Head, s.Frame)
		}
		return nil
	})
}
