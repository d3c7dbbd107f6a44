package capture

import (
	"bytes"
	"context"
	"net"
	"net/rpc"
	"sync"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
)

// The bus of a test, reached by a child process over a socket. Bus is what the
// parent answers, remote is the child's side.

type Bus struct{ b *bus }

type RPCFrame struct {
	Raw   []byte
	First bool
}

type RPCError struct {
	Kind cdp.Kind // "" for none
	Text string
}

type RPCTail struct {
	No  cdp.FrameNo
	Raw []byte
	Err RPCError
}

type RPCState struct {
	State admission.State
	Err   RPCError
}

func packErr(err error) (e RPCError) {
	if err != nil {
		e = RPCError{cdp.KindOf(err), err.Error()}
	}
	return e
}

func (e RPCError) err() error {
	if e.Kind == "" {
		return nil
	}
	return cdp.Errorf(e.Kind, "ask", "bus", "%s", e.Text)
}

func (s *Bus) Publish(f RPCFrame, out *RPCError) error {
	*out = packErr(s.b.store(f.Raw, f.First))
	return nil
}

func (s *Bus) Tail(_ int, out *RPCTail) error {
	no, h, err := s.b.tail()
	out.No, out.Err = no, packErr(err)
	if h != nil {
		s.b.with(func() { out.Raw = bytes.Clone(s.b.frames[no]) })
	}
	return nil
}

func (s *Bus) Cursor(_ int, out *RPCState) error {
	c, err := s.b.cursor()
	out.State, out.Err = c, packErr(err)
	return nil
}

func (s *Bus) Next(held cdp.Epoch, out *cdp.Epoch) (err error) {
	*out, err = s.b.next(held)
	return err
}

func (s *Bus) Recreate(first cdp.FrameNo, out *RPCError) error {
	*out = packErr(s.b.recreate(first))
	return nil
}

func (s *Bus) Durable(_ int, out *Durable) error {
	s.b.with(func() { *out = s.b.word() })
	return nil
}

func (b *bus) listen(path string) (net.Listener, error) {
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	srv := rpc.NewServer()
	if err := srv.RegisterName("Bus", &Bus{b}); err != nil {
		return nil, err
	}
	go srv.Accept(ln)
	return ln, nil
}

type remote struct {
	c       *rpc.Client
	mu      sync.Mutex
	gen     int
	gone    cdp.FrameNo
	queue   chan sent
	results chan Result
	durable chan Durable
}

var _ Stream = (*remote)(nil)

func dialBus(path string) (*remote, error) {
	c, err := rpc.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	r := &remote{c: c, queue: make(chan sent, 4096), results: make(chan Result, 4096), durable: make(chan Durable, 1)}
	go func() {
		for s := range r.queue {
			var e RPCError
			if err := c.Call("Bus.Publish", RPCFrame{s.raw, s.first}, &e); err != nil {
				return
			}
			r.mu.Lock()
			if s.gen == r.gen {
				r.results <- Result{No: s.no, Err: e.err()}
			}
			r.mu.Unlock()
		}
	}()
	go func() {
		for {
			var d Durable
			if c.Call("Bus.Durable", 0, &d) != nil {
				return
			}
			select {
			case <-r.durable:
			default:
			}
			r.durable <- d
			time.Sleep(time.Millisecond)
		}
	}()
	return r, nil
}

func (r *remote) Tail(context.Context) (cdp.FrameNo, *frame.Header, error) {
	var t RPCTail
	r.gone = 0
	if err := r.c.Call("Bus.Tail", 0, &t); err != nil || t.Err.err() != nil || t.Raw == nil {
		if err == nil {
			r.gone = t.No + 1
			err = t.Err.err()
		}
		return t.No, nil, err
	}
	h, err := frame.ParseHeader(t.Raw)
	return t.No, &h, err
}

func (r *remote) Publish(f frame.Frame) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue <- sent{r.gen, f.No == r.gone, f.No, bytes.Clone(f.Bytes())}
	return nil
}

func (r *remote) Results() <-chan Result  { return r.results }
func (r *remote) Durable() <-chan Durable { return r.durable }
func (r *remote) Close() error            { return nil }

func (r *remote) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gen++
	for len(r.results) > 0 {
		<-r.results
	}
}

func (r *remote) Recreate(_ context.Context, first cdp.FrameNo) error {
	r.gone = first
	var e RPCError
	if err := r.c.Call("Bus.Recreate", first, &e); err != nil {
		return err
	}
	return e.err()
}

func (r *remote) Next(_ context.Context, _ cdp.GroupID, held cdp.Epoch) (e cdp.Epoch, err error) {
	if r.c.Call("Bus.Next", held, &e) != nil {
		err = transient
	}
	return e, err
}

func (r *remote) Cursor(context.Context, cdp.Site, cdp.GroupID) (admission.State, error) {
	var c RPCState
	if r.c.Call("Bus.Cursor", 0, &c) != nil {
		return admission.State{}, transient
	}
	return c.State, c.Err.err()
}
