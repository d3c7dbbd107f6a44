package main

import (
	"context"
	"sync"
	"sync/atomic"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool"
	"tidemark.dev/services/capture"
)

// stream is a group's stream on the bus as capture's port, and tells what it
// sees of the group's progress.
type stream struct {
	spool.Sink
	results chan capture.Result
	durable chan capture.Durable
	stop    chan struct{}
	wg      sync.WaitGroup
	reached func(cdp.Seq) // the newest durable write; may be nil

	mu    sync.Mutex
	lasts []mark // of frames that are not durable
}

type mark struct {
	no   cdp.FrameNo
	last cdp.Seq
}

var _ capture.Stream = (*stream)(nil)

func newStream(s spool.Sink, reached func(cdp.Seq)) *stream {
	x := &stream{Sink: s, results: make(chan capture.Result, 4096), durable: make(chan capture.Durable, 1), stop: make(chan struct{}), reached: reached}
	x.wg.Go(x.pumpResults)
	x.wg.Go(x.pumpDurable)
	return x
}

func (x *stream) Publish(f frame.Frame) error {
	if x.reached != nil {
		x.mu.Lock()
		x.lasts = append(x.lasts, mark{f.No, f.Last()})
		x.mu.Unlock()
	}
	return x.Sink.Publish(f)
}

func (x *stream) Results() <-chan capture.Result  { return x.results }
func (x *stream) Durable() <-chan capture.Durable { return x.durable }

func (x *stream) Close() error {
	close(x.stop)
	err := x.Sink.Close()
	x.wg.Wait()
	return err
}

func (x *stream) pumpResults() {
	for {
		select {
		case <-x.stop:
			return
		case r := <-x.Sink.Results():
			select {
			case <-x.stop:
				return
			case x.results <- r:
			}
		}
	}
}

func (x *stream) pumpDurable() {
	for {
		select {
		case <-x.stop:
			return
		case d := <-x.Sink.Durable():
			x.reach(d.No)
			select {
			case <-x.durable:
			default:
			}
			x.durable <- capture.Durable(d)
		}
	}
}

func (x *stream) reach(no cdp.FrameNo) {
	if x.reached == nil {
		return
	}
	x.mu.Lock()
	var last cdp.Seq
	n := 0
	for n < len(x.lasts) && x.lasts[n].no <= no {
		last = x.lasts[n].last
		n++
	}
	x.lasts = x.lasts[n:]
	x.mu.Unlock()
	if n > 0 {
		x.reached(last)
	}
}

// epochs gives out fencing numbers of this process.
type epochs struct{ atomic.Uint64 }

func (e *epochs) Next(context.Context, cdp.GroupID, cdp.Epoch) (cdp.Epoch, error) {
	return cdp.Epoch(e.Add(1)), nil
}

// cursor asks the journal over the bus.
type cursor struct {
	conn *bus.Conn
	mute bool
}

func (c cursor) Cursor(ctx context.Context, _ cdp.Site, g cdp.GroupID) (admission.State, error) {
	var out api.Cursor
	if c.mute {
		return admission.State{}, nil
	}
	err := c.conn.Request(ctx, site, subjects.Journal, api.JournalCursor, api.GroupRequest{Group: g}, &out)
	return admission.State{Epoch: out.Epoch, No: out.Frame, Hash: frame.Hash(append(out.Hash, make([]byte, 32)...)[:32]), Head: out.Head}, err
}
