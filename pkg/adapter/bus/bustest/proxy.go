package bustest

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP link that can be cut and delayed, and can hold back what the target sends.
type Proxy struct {
	ln     net.Listener
	target string
	wg     sync.WaitGroup

	mu     sync.Mutex
	cut    bool
	closed bool
	delay  time.Duration
	deaf   bool
	conns  map[net.Conn]bool
}

// NewProxy listens on a free port and forwards to target until the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{ln: ln, target: target, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr is where to connect to.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Cut closes all connections and refuses new ones.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	p.drop()
}

// Heal lets connections through again.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
}

// Delay holds every piece of data back by d, from now on.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Deafen holds back what the target sends while on; the other direction still
// passes.
func (p *Proxy) Deafen(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = on
}

// hear waits until data from the target may pass.
func (p *Proxy) hear() {
	for {
		p.mu.Lock()
		deaf := p.deaf && !p.closed
		p.mu.Unlock()
		if !deaf {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (p *Proxy) drop() {
	for c := range p.conns {
		c.Close()
	}
	clear(p.conns)
}

func (p *Proxy) close() {
	p.ln.Close()
	p.mu.Lock()
	p.closed = true
	p.drop()
	p.mu.Unlock()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		a, err := p.ln.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", p.target)
		if err != nil {
			a.Close()
			continue
		}
		p.mu.Lock()
		if p.cut || p.closed {
			a.Close()
			b.Close()
		} else {
			p.conns[a], p.conns[b] = true, true
			p.wg.Go(func() { p.pipe(a, b, func() {}) })
			p.wg.Go(func() { p.pipe(b, a, p.hear) })
		}
		p.mu.Unlock()
	}
}

type piece struct {
	data []byte
	due  time.Time
}

func (p *Proxy) pipe(from, to net.Conn, wait func()) {
	pieces := make(chan piece, 256)
	p.wg.Go(func() {
		for c := range pieces {
			time.Sleep(time.Until(c.due))
			wait()
			if _, err := to.Write(c.data); err != nil {
				from.Close()
			}
		}
		to.Close()
	})
	defer close(pieces)
	for {
		buf := make([]byte, 64<<10)
		n, err := from.Read(buf)
		p.mu.Lock()
		due := time.Now().Add(p.delay)
		p.mu.Unlock()
		if n > 0 {
			pieces <- piece{buf[:n], due}
		}
		if err != nil {
			if err != io.EOF {
				to.Close()
			}
			return
		}
	}
}
