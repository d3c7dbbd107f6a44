package spooltest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool"
)

// Make makes a frame of one write of size bytes; its content follows from no.
func Make(no cdp.FrameNo, epoch cdp.Epoch, size int) frame.Frame {
	b := frame.NewBuilder(make([]byte, frame.SlotSize))
	b.Append(frame.Record{Length: uint32(size), Kind: frame.Write}, bytes.Repeat([]byte{byte(no)}, size))
	f := b.Seal(frame.Header{Epoch: epoch, No: no, First: cdp.Seq(no), Flags: frame.Consistent})
	f, err := frame.Parse(bytes.Clone(f.Bytes())) // a slot is far larger than its frame
	if err != nil {
		panic(err)
	}
	return f
}

// after is an empty frame that follows f.
func after(f frame.Frame, no cdp.FrameNo, epoch cdp.Epoch) frame.Frame {
	b := frame.NewBuilder(make([]byte, frame.SlotSize))
	return b.Seal(frame.Header{Epoch: epoch, No: no, First: f.Last() + 1, Prev: f.Hash})
}

func result(t testing.TB, s spool.Sink) spool.Result {
	t.Helper()
	select {
	case r := <-s.Results():
		return r
	case <-time.After(time.Minute):
		t.Fatal("no result")
	}
	panic("unreachable")
}

// drive publishes the frames from to last, as a capturer does: a window, and
// go-back-N from the tail after any error.
func drive(t testing.TB, s spool.Sink, from, last cdp.FrameNo) {
	t.Helper()
	const window = 32
	deadline := time.Now().Add(2 * time.Minute)
	next, acked := from, from-1
	for acked < last {
		if time.Now().After(deadline) {
			t.Fatalf("stuck at frame %d of %d", acked, last)
		}
		var err error
		for next <= last && next-acked <= window && err == nil {
			if err = s.Publish(Make(next, 1, 512)); err == nil {
				next++
			}
		}
		if err == nil {
			if r := result(t, s); r.Err != nil {
				err = r.Err
			} else if r.No != acked+1 {
				t.Fatalf("result of frame %d after that of %d", r.No, acked)
			} else {
				acked++
			}
		}
		for err != nil {
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
			s.Reset()
			time.Sleep(10 * time.Millisecond)
			var no cdp.FrameNo
			if no, _, err = s.Tail(t.Context()); err == nil {
				acked, next = no, no+1
			}
		}
	}
}

// collector checks what comes out: order, no gap, no double, the content.
type collector struct {
	t    testing.TB
	from cdp.FrameNo
	mu   sync.Mutex
	last cdp.FrameNo
	st   spool.State
	bad  string
	stop func()
}

func collect(t testing.TB, src spool.Source, from cdp.FrameNo) *collector {
	c := &collector{t: t, from: from, last: from - 1}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- src.Pull(ctx, from, c.status, c.take) }()
	c.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("pull ended: %v", err)
		}
		if c.bad != "" {
			t.Error(c.bad)
		}
	})
	t.Cleanup(c.stop)
	return c
}

func (c *collector) status(s spool.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.st = s.State
}

func (c *collector) take(m spool.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, err := frame.Parse(m.Data)
	switch {
	case m.No != c.last+1:
		c.bad = "a frame out of order"
	case err != nil:
		c.bad = err.Error()
	case f.No != m.No || f.Verify() != nil || m.Stored.IsZero():
		c.bad = "not the frame that was published"
	}
	c.last = m.No
	return nil
}

func (c *collector) until(what string, ok func() bool) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		c.mu.Lock()
		good, bad := ok(), c.bad
		c.mu.Unlock()
		if bad != "" {
			c.t.Fatal(bad)
		}
		if good {
			return
		}
	}
	c.t.Fatalf("not within a minute: %s; at frame %d, %s", what, c.last, c.st)
}

func (c *collector) wait(last cdp.FrameNo) {
	c.t.Helper()
	c.until("the last frame", func() bool { return c.last == last })
}

func (c *collector) state(s spool.State) {
	c.t.Helper()
	c.until(string(s), func() bool { return c.st == s })
}
