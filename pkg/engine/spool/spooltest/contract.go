package spooltest

import (
	"context"
	"errors"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/spool"
)

// Rig is one implementation under test: a stream, its two sides, and its
// faults. Sink may be called again, as a restarted capture does.
type Rig interface {
	Sink(testing.TB) spool.Sink
	Source(testing.TB) spool.Source
	Cut()
	Heal()
	Stop()
	Start()
	Lose()
}

var _ Rig = (*Mem)(nil)

// Contract checks every promise of the ports on fresh rigs, whose streams hold
// at most the given number of bytes.
func Contract(t *testing.T, rig func(tb testing.TB, maxBytes int64) Rig) {
	const roomy = 64 << 20
	for name, check := range map[string]func(*testing.T, Rig){
		"order":               order,
		"wrong last sequence": wrongLast,
		"stale frame":         staleFrame,
		"tail":                tail,
		"durable":             durable,
		"purge":               purge,
		"lost frames":         lostFrames,
		"recreate":            recreate,
		"receiver fails":      receiverFails,
		"cut link":            cutLink,
		"server restart":      restart,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); check(t, rig(t, roomy)) })
	}
	t.Run("full", func(t *testing.T) { t.Parallel(); full(t, rig(t, 100<<10)) })
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func order(t *testing.T, r Rig) {
	c := collect(t, r.Source(t), 1)
	s := r.Sink(t)
	drive(t, s, 1, 500)
	c.wait(500)
}

func wrongLast(t *testing.T, r Rig) {
	s := r.Sink(t)
	drive(t, s, 1, 3)
	for _, no := range []cdp.FrameNo{5, 3, 1} { // a gap, a double, a stale one
		ok(t, s.Publish(Make(no, 1, 512)))
		if got := result(t, s); got.No != no || !cdp.Is(got.Err, cdp.Conflict) {
			t.Fatalf("frame %d: got %+v", no, got)
		}
	}
	// After a refused frame all are refused, and answered in order.
	for no := cdp.FrameNo(5); no < 9; no++ {
		ok(t, s.Publish(Make(no, 1, 512)))
	}
	for no := cdp.FrameNo(5); no < 9; no++ {
		if got := result(t, s); got.No != no || !cdp.Is(got.Err, cdp.Conflict) {
			t.Fatalf("frame %d: got %+v", no, got)
		}
	}
	// After Reset no earlier result arrives.
	ok(t, s.Publish(Make(9, 1, 512)))
	s.Reset()
	ok(t, s.Publish(Make(4, 1, 512)))
	if got := result(t, s); got.No != 4 || got.Err != nil {
		t.Fatalf("got %+v", got)
	}
	collect(t, r.Source(t), 1).wait(4)
}

// A frame of a capturer that was replaced arrives late, with the number that is
// next: the stream refuses it, for it follows another frame.
func staleFrame(t *testing.T, r Rig) {
	s := r.Sink(t)
	first := Make(1, 1, 512)
	ok(t, s.Publish(first))
	ok(t, result(t, s).Err)
	stale, next := after(Make(1, 9, 1024), 2, 1), after(first, 2, 2)
	ok(t, s.Publish(stale))
	if got := result(t, s); !cdp.Is(got.Err, cdp.Conflict) {
		t.Fatalf("got %+v", got)
	}
	s.Reset()
	ok(t, s.Publish(next))
	if got := result(t, s); got.Err != nil || got.No != 2 {
		t.Fatalf("got %+v", got)
	}
}

func tail(t *testing.T, r Rig) {
	s := r.Sink(t)
	if no, h, err := s.Tail(t.Context()); no != 0 || h != nil || err != nil {
		t.Fatal(no, h, err)
	}
	drive(t, s, 1, 7)
	ok(t, s.Close())
	s = r.Sink(t)
	no, h, err := s.Tail(t.Context())
	if err != nil || no != 7 || h == nil || h.No != 7 || h.Epoch != 1 {
		t.Fatal(no, h, err)
	}
	drive(t, s, 8, 9)
	collect(t, r.Source(t), 1).wait(9)
}

func durable(t *testing.T, r Rig) {
	s, src := r.Sink(t), r.Source(t)
	drive(t, s, 1, 1)
	collect(t, src, 1).wait(1) // so that the path exists: the report may be lost
	for no := cdp.FrameNo(1); no <= 100; no++ {
		ok(t, src.PublishDurable(spool.Durable{No: no, Epoch: 7}))
	}
	for {
		select {
		case d := <-s.Durable():
			if d.Epoch != 7 {
				t.Fatal(d)
			}
			if d.No == 100 {
				word(t, s, src, spool.Durable{No: 100, Epoch: 7, Refused: 101, By: 6})
				return
			}
		case <-time.After(100 * time.Millisecond):
			ok(t, src.PublishDurable(spool.Durable{No: 100, Epoch: 7})) // as callers do
		case <-t.Context().Done():
			t.Fatal("no report arrived")
		}
	}
}

// word repeats a report until it arrives.
func word(t *testing.T, s spool.Sink, src spool.Source, want spool.Durable) {
	t.Helper()
	for {
		select {
		case d := <-s.Durable():
			if d == want {
				return
			}
		case <-time.After(100 * time.Millisecond):
			ok(t, src.PublishDurable(want))
		case <-t.Context().Done():
			t.Fatal("no report arrived")
		}
	}
}

func purge(t *testing.T, r Rig) {
	s, src := r.Sink(t), r.Source(t)
	drive(t, s, 1, 10)
	purged(t, r, s, 10)
	no, h, err := s.Tail(t.Context())
	if err != nil || no != 10 || h == nil || h.No != 10 {
		t.Fatal(no, h, err) // frame 10 itself is kept
	}
	c := collect(t, src, 10)
	c.wait(10)
	c.stop()
	// A number that the stream has not reached moves nothing.
	word(t, s, src, spool.Durable{No: 99, Epoch: 1})
	time.Sleep(400 * time.Millisecond)
	if no, h, err := s.Tail(t.Context()); err != nil || no != 10 || h == nil {
		t.Fatal(no, h, err)
	}
	drive(t, s, 11, 12)
	collect(t, src, 11).wait(12)
}

// purged tells the sink that the frames up to no are durable, until the one
// before it is gone from the stream.
func purged(t *testing.T, r Rig, s spool.Sink, no cdp.FrameNo) {
	t.Helper()
	for gone := false; !gone; {
		word(t, s, r.Source(t), spool.Durable{No: no, Epoch: 1})
		// Longer than the open requests of the pull before, which take the first frame.
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		err := r.Source(t).Pull(ctx, no-1, nil, func(spool.Message) error { return errors.New("it is there") })
		cancel()
		gone = cdp.Is(err, cdp.Corrupt)
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}

func lostFrames(t *testing.T, r Rig) {
	s, src := r.Sink(t), r.Source(t)
	drive(t, s, 1, 10)
	purged(t, r, s, 6)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := src.Pull(ctx, 5, nil, func(spool.Message) error { return errors.New("frame 5 is gone") })
	if !cdp.Is(err, cdp.Corrupt) {
		t.Fatalf("got %v", err)
	}
}

func recreate(t *testing.T, r Rig) {
	s, src := r.Sink(t), r.Source(t)
	c := collect(t, src, 1)
	drive(t, s, 1, 10)
	c.wait(10)
	r.Lose()
	if _, _, err := s.Tail(t.Context()); !cdp.Is(err, cdp.NotFound) {
		t.Fatalf("got %v", err)
	}
	c.state(spool.NoStream)
	ok(t, s.Publish(Make(11, 1, 512)))
	if got := result(t, s); !cdp.Is(got.Err, cdp.Transient) {
		t.Fatalf("got %+v", got)
	}
	ok(t, s.Recreate(t.Context(), 1)) // a mistake: the journal is at 10
	c.state(spool.Behind)
	ok(t, s.Recreate(t.Context(), 11))
	ok(t, s.Recreate(t.Context(), 11))
	if no, h, err := s.Tail(t.Context()); err != nil || no != 10 || h != nil {
		t.Fatal(no, h, err)
	}
	drive(t, s, 11, 15)
	c.wait(15)
	// One that goes on at the right place, but from the wrong frame.
	ok(t, s.Recreate(t.Context(), 16))
	if no, h, err := s.Tail(t.Context()); err != nil || no != 15 || h != nil {
		t.Fatal(no, h, err)
	}
	ok(t, s.Publish(after(Make(15, 9, 512), 16, 10)))
	ok(t, result(t, s).Err)
	c.wait(16)
}

func receiverFails(t *testing.T, r Rig) {
	drive(t, r.Sink(t), 1, 5)
	boom := errors.New("boom")
	n := 0
	err := r.Source(t).Pull(t.Context(), 1, nil, func(m spool.Message) error {
		if n++; m.No == 3 {
			return boom
		}
		return nil
	})
	if err != boom || n != 3 {
		t.Fatal(n, err)
	}
}

func full(t *testing.T, r Rig) {
	s, src := r.Sink(t), r.Source(t)
	no := cdp.FrameNo(1)
	for ; no < 100; no++ {
		ok(t, s.Publish(Make(no, 1, 16<<10)))
		if got := result(t, s); got.Err != nil {
			if !cdp.Is(got.Err, cdp.Full) {
				t.Fatalf("got %+v", got)
			}
			break
		}
	}
	if no < 4 || no > 7 {
		t.Fatalf("full at %d", no)
	}
	purged(t, r, s, no-1)
	s.Reset()
	ok(t, s.Publish(Make(no, 1, 16<<10)))
	if got := result(t, s); got.Err != nil {
		t.Fatal(got)
	}
	collect(t, src, no-1).wait(no)
}

func cutLink(t *testing.T, r Rig) {
	c, s := collect(t, r.Source(t), 1), r.Sink(t)
	drive(t, s, 1, 50)
	c.wait(50)
	r.Cut()
	c.state(spool.LinkDown)
	drive(t, s, 51, 150) // the spool takes it
	r.Heal()
	c.state(spool.Flowing)
	drive(t, s, 151, 200)
	c.wait(200)
}

func restart(t *testing.T, r Rig) {
	c, s := collect(t, r.Source(t), 1), r.Sink(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(20 * time.Millisecond)
		r.Stop()
		time.Sleep(50 * time.Millisecond)
		r.Start()
	}()
	drive(t, s, 1, 1000)
	<-done
	drive(t, s, 1001, 1100)
	c.wait(1100)
}
