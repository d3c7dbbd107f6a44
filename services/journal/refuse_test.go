package journal

import (
	"math/rand/v2"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/pkg/engine/spool/spooltest"
	"tidemark.dev/pkg/engine/vault/vaulttest"
	"tidemark.dev/pkg/seedtest"
)

// A stream that continues another frame than the journal's newest, or that has
// lost the next one, is refused: capture is notified again and again, and what it
// then sends after the journal's newest frame is taken.
func TestARefusedStreamIsAnnouncedAndStartsAnew(t *testing.T) {
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 9))
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.Rollback)
	defer s.shut()
	sink := s.mem.Sink(t)
	m := vaulttest.NewModel(testDisks)
	publish := func(f frame.Frame) {
		t.Helper()
		if err := sink.Publish(f); err != nil {
			t.Fatal(err)
		}
		if r := <-sink.Results(); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	send := func(n int, epoch cdp.Epoch) {
		t.Helper()
		for i := range n {
			flags := frame.Consistent
			if i == 0 {
				flags |= frame.ExtentStart
			}
			f, err := frame.Parse(m.Frame(flags, epoch, time.Now().UnixNano(), m.RandomWrite(rng)))
			if err != nil {
				t.Fatal(err)
			}
			publish(f)
		}
		s.until("all writes", func() bool { return s.head() == cdp.Seq(len(m.Writes)) })
	}
	recreate := func(first cdp.FrameNo) {
		t.Helper()
		if err := sink.Recreate(t.Context(), first); err != nil {
			t.Fatal(err)
		}
	}
	heard := func(want spool.Durable) {
		t.Helper()
		s.until("the refusal", func() bool {
			select {
			case d := <-sink.Durable():
				return d == want
			default:
				return false
			}
		})
	}
	send(10, 1)

	// The stream lost frame 10, and has others after a different one.
	recreate(10)
	other := frame.Header{Epoch: 2, No: 10, First: 10, Flags: frame.ExtentStart}
	for range 3 {
		b := frame.NewBuilder(make([]byte, frame.SlotSize))
		b.Append(frame.Record{Length: 512, Kind: frame.Zero}, nil)
		f := b.Seal(other)
		publish(f)
		other = frame.Header{Epoch: 2, No: f.No + 1, First: f.Last() + 1, Prev: f.Hash}
	}
	for range 2 {
		heard(spool.Durable{No: 10, Epoch: 1, Refused: 11, By: 2})
	}
	recreate(11)
	send(10, 3)

	// The stream lost frame 21 before the journal had it.
	recreate(25)
	heard(spool.Durable{No: 20, Epoch: 3, Refused: 21})
	recreate(21)
	send(10, 4)
}
