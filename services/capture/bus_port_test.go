package capture

import (
	"bytes"
	"context"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
)

// The ports of one process.

type epochs struct{ *bus }

func (e epochs) Next(_ context.Context, _ cdp.GroupID, held cdp.Epoch) (cdp.Epoch, error) {
	return e.next(held)
}

type journal struct{ *bus }

func (j journal) Cursor(context.Context, cdp.Site, cdp.GroupID) (admission.State, error) {
	return j.cursor()
}

// port is a Stream: one connection to the bus. Frames on their way when it is
// reset or closed still arrive.
type port struct {
	b       *bus
	mu      sync.Mutex
	gen     int
	gone    cdp.FrameNo // the frame after a last message that Tail found gone
	queue   chan sent
	results chan Result
	durable chan Durable
}

type sent struct {
	gen   int
	first bool
	no    cdp.FrameNo
	raw   []byte
}

var _ Stream = (*port)(nil)

func (b *bus) open() *port {
	p := &port{b: b, queue: make(chan sent, 4096), results: make(chan Result, 4096), durable: make(chan Durable, 1)}
	b.with(func() { b.ports[p] = true })
	go func() {
		for s := range p.queue {
			b.mu.Lock()
			slow := b.slow
			b.mu.Unlock()
			if slow > 0 {
				time.Sleep(slow)
			}
			err := b.store(s.raw, s.first)
			b.mu.Lock()
			mute := b.mute
			b.mu.Unlock()
			p.mu.Lock()
			if s.gen == p.gen && !mute {
				p.results <- Result{No: s.no, Err: err}
			}
			p.mu.Unlock()
		}
	}()
	return p
}

func (p *port) Tail(context.Context) (cdp.FrameNo, *frame.Header, error) {
	no, last, err := p.b.tail()
	p.gone = 0
	if err == nil && last == nil {
		p.gone = no + 1
	}
	return no, last, err
}

func (p *port) Results() <-chan Result                              { return p.results }
func (p *port) Durable() <-chan Durable                             { return p.durable }
func (p *port) Recreate(_ context.Context, first cdp.FrameNo) error { return p.b.recreate(first) }

func (p *port) Publish(f frame.Frame) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue <- sent{p.gen, f.No == p.gone, f.No, bytes.Clone(f.Bytes())}

	return nil
}

func (p *port) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gen++
	for len(p.results) > 0 {
		<-p.results
	}
}

func (p *port) Close() error {
	p.b.with(func() { delete(p.b.ports, p) })
	close(p.queue)
	return nil
}
