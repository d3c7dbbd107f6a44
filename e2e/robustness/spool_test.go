package robustness

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
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
	s, err := js.Stream(t.Context(), subjects.FrameStream(cdp.GroupID(w.job)))
	if err != nil {
		t.Fatal(err)
	}
	source, err := w.Connect(t.Context(), "prod")
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	w.Link.Cut()
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cfg := info.Config
	cfg.MaxBytes = int64(info.State.Bytes) + bus.MinSpool
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	full := w.during(func() {
		took := w.eventually("capture overflows", 60*time.Second, func() error {
			c, err := w.captureOver(source)
			if err == nil && c.State != "overflow" {
				err = fmt.Errorf("%s, %d frames on the way", c.State, c.InFlight)
			}
			return err
		})
		t.Logf("overflow %v after the cut", took.Round(10*time.Millisecond))
		time.Sleep(2 * time.Second)
	})
	w.keepsPace("the spool is full", before, full)
	w.Link.Heal()
	took := w.eventually("it replicates again", 45*time.Second, func() error {
		c, err := w.captureStatus()
		if err == nil && c.State != "replicating" {
			err = fmt.Errorf("%s, %d bytes dirty, %s", c.State, c.Dirty, c.Reason)
		}
		return err
	})
	t.Logf("replicating %v after the link was back", took.Round(10*time.Millisecond))
	w.settle()
	w.oneChain()
}
