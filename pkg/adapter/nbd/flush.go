package nbd

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// durable replies to a request once everything written before it is durable.
//
// That is the committer's work, so that later requests need not wait. But a
// client that waits for each reply before it sends more has no later request,
// and would only pay for waking a second goroutine: it is served right here.
func (c *conn) durable(cookie uint64) error {
	busy := c.in.r < c.in.w || c.com.waiting.Load() > 0 || c.out.gathered()
	if busy || !c.lockstep.likely() {
		c.com.waiting.Add(1)
		c.com.queue <- cookie
		return nil
	}
	err := c.exp.commit.sync()
	c.lockstep.learn()
	return c.answer(cookie, err, false) // sent before the next read
}

// answer gathers the reply to one flush or FUA write, and sends all that is
// gathered if it is the last for now.
func (c *conn) answer(cookie uint64, err error, last bool) error {
	if err != nil {
		c.backendFailed("flush", err)
	}
	c.out.Lock()
	defer c.out.Unlock()
	if err != nil {
		c.out.fail(cookie, errnoOf(err), c.neg.structured)
	} else {
		c.out.simple(cookie, 0)
	}
	if last {
		c.out.send()
	}
	return c.out.err
}

// relearn is for how many durable requests a wrong guess is remembered.
const relearn = 64

// lockstep guesses whether a client waits for each reply before it sends the next
// request. A wrong guess makes a few requests wait for one flush.
type lockstep struct {
	raw   syscall.RawConn // nil: no guess is possible
	look  func(fd uintptr)
	input int // bytes that look found waiting
	wrong int // durable requests until the next guess
}

func (s *lockstep) watch(nc net.Conn) {
	if sc, ok := nc.(syscall.Conn); ok {
		s.raw, _ = sc.SyscallConn()
	}
	s.look = func(fd uintptr) { s.input, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }
}

func (s *lockstep) likely() bool {
	if s.wrong > 0 {
		s.wrong--
	}
	return s.raw != nil && s.wrong == 0
}

// learn is called before the reply is sent: what has arrived by now was sent
// without waiting for it.
func (s *lockstep) learn() {
	s.input = 0
	if s.raw.Control(s.look) != nil || s.input > 0 {
		s.wrong = relearn
	}
}
