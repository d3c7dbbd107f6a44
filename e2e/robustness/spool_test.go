package robustness

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/bus"
	"tidemark.dev/pkg/cdp"
)

// The link is cut, and the spool at the source is small and fills: capture only
// notes which regions change, the guests feel nothing, and when the link is back
// all of it is sent again.
func TestFullSpool(t *testing.T) {
	w := newWorld(t, "rollback")
	w.guests.Start()
	w.protected()
	before := w.during(func() { time.Sleep(3 * time.Second) })
	t.Logf("before: %v", before)
	nc, err := nats.Connect(w.ProdURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), bus.FrameStream(cdp.GroupID(w.job)))
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		w.Link.Cut()
		info, err := s.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		cfg := info.Config
		cfg.MaxBytes = int64(info.State.Bytes) + 1<<20
		if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		full := w.during(func() {
			w.eventually("the stream is full", 30*time.Second, func() error {
				i, err := s.Info(t.Context())
				if err == nil && i.State.Bytes < uint64(cfg.MaxBytes)-300<<10 {
					err = fmt.Errorf("%d of %d bytes", i.State.Bytes, cfg.MaxBytes)
				}
				return err
			})
			time.Sleep(15 * time.Second) // the window of frames fills, too
		})
		w.keepsPace("the spool is full", before, full)
		w.Link.Heal()
		saw := map[string]bool{}
		took := w.eventually("it replicates again", 60*time.Second, func() error {
			c, err := w.captureStatus()
			if err == nil {
				saw[c.State] = true
				if c.State != "replicating" {
					err = fmt.Errorf("%s, %d bytes dirty, %s", c.State, c.Dirty, c.Reason)
				}
			}
			return err
		})
		t.Logf("round %d: replicating %v after the link was back, by way of %v", round, took.Round(10*time.Millisecond), saw)
		if !saw["overflow"] && !saw["resyncing"] {
			t.Errorf("round %d: nothing overflowed: this test tests nothing", round)
		}
		if round == 0 {
			w.settle()
			w.guests.Start()
		}
	}
	w.settle()
	w.oneChain()
}
