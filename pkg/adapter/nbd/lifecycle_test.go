package nbd

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestHooks checks that each connect has one disconnect, clean or not.
func TestHooks(t *testing.T) {
	var mu sync.Mutex
	connects := 0
	gone := make(chan bool, 10)
	r := newRig(t, Config{}, Export{Name: "a", Backend: newMemory(1 << 20), MaxConns: 1,
		OnConnect:    func(Peer) error { mu.Lock(); defer mu.Unlock(); connects++; return nil },
		OnDisconnect: func(_ Peer, clean bool) { gone <- clean },
	})
	expect := func(what string, want bool) {
		t.Helper()
		select {
		case clean := <-gone:
			if clean != want {
				t.Errorf("%s: clean is %v", what, clean)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: no disconnect", what)
		}
		for r.inUse("a") { // the place is free a moment after the hook
			time.Sleep(time.Millisecond)
		}
	}
	c := r.dial("a")
	if _, err := Dial(context.Background(), "unix", r.sock, "a"); !errors.Is(err, ErrRefused) {
		t.Errorf("second connection: %v", err)
	}
	must(t, c.Close())
	expect("disconnect", true)
	c = r.dial("a")
	c.Abort()
	expect("abort", false)
	raw := r.raw()
	raw.enter("a")
	raw.write(make([]byte, 28))
	expect("bad magic", false)
	r.dial("a")
	r.stop()
	expect("server stops", false)
	if connects != 4 || len(gone) != 0 {
		t.Errorf("%d connects, %d disconnects too many", connects, len(gone))
	}
}

func (s *Server) inUse(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.exports[name].conns) > 0
}

// TestRemoveExport lets the write in progress end, and nothing after it.
func TestRemoveExport(t *testing.T) {
	m := newMemory(1 << 20)
	entered, release := make(chan struct{}, 8), make(chan struct{})
	m.flush = func() error { entered <- struct{}{}; <-release; return nil }
	r := newRig(t, Config{}, Export{Name: "a", Backend: m}, Export{Name: "b", Backend: newMemory(512)})
	a, b := r.dial("a"), r.dial("b")
	flushed, removed := make(chan error, 1), make(chan error, 1)
	go func() { flushed <- a.Flush() }()
	<-entered
	go func() { removed <- r.Server.RemoveExport("a") }()
	for r.lookup("a") != nil {
		time.Sleep(time.Millisecond)
	}
	select {
	case <-removed:
		t.Fatal("removed while the backend is in use")
	case <-time.After(20 * time.Millisecond):
	}
	if _, err := Dial(context.Background(), "unix", r.sock, "a"); !errors.Is(err, ErrUnknownExport) {
		t.Errorf("dial of a removed export: %v", err)
	}
	close(release)
	must(t, <-flushed)
	must(t, <-removed)
	if err := a.Flush(); err == nil {
		t.Error("a removed export still answers")
	}
	must(t, b.Flush())
	if err := r.RemoveExport("a"); !errors.Is(err, ErrUnknownExport) {
		t.Errorf("removed twice: %v", err)
	}
	must(t, r.AddExport(Export{Name: "a", Backend: m}))
	if err := r.AddExport(Export{Name: "a", Backend: m}); !errors.Is(err, ErrExportExists) {
		t.Errorf("added twice: %v", err)
	}
}

// TestStopAnswers ends the server while a write is being stored: its client
// gets the answer.
func TestStopAnswers(t *testing.T) {
	m := newMemory(1 << 20)
	entered, release := make(chan struct{}, 1), make(chan struct{})
	m.flush = func() error { entered <- struct{}{}; <-release; return nil }
	r := newRig(t, Config{}, Export{Backend: m})
	c := r.dial("")
	done := make(chan error, 1)
	go func() { _, err := c.WriteFUA(make([]byte, 512), 0); done <- err }()
	<-entered
	r.cancel()
	time.Sleep(20 * time.Millisecond)
	close(release)
	must(t, <-done)
	r.stop()
}

func TestMaxConnections(t *testing.T) {
	r := newRig(t, Config{MaxConnections: 2}, Export{Backend: newMemory(512)})
	a := r.dial("")
	r.dial("")
	if _, err := Dial(context.Background(), "unix", r.sock, ""); err == nil {
		t.Error("a third connection")
	}
	a.Close()
	for range 1000 {
		if c, err := Dial(context.Background(), "unix", r.sock, ""); err == nil {
			c.Close()
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("the place of a closed connection stays taken")
}

func TestServeListenerFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	l.Close()
	if err := New(Config{}).Serve(context.Background(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve on a closed listener: %v", err)
	}
}

func TestAddExportRefuses(t *testing.T) {
	for what, e := range map[string]Export{
		"no backend":        {},
		"odd block":         {Backend: newMemory(1024), MinBlock: 700},
		"huge block":        {Backend: newMemory(1 << 20), MinBlock: 1 << 17},
		"size not a block":  {Backend: newMemory(1000)},
		"endless name":      {Backend: newMemory(512), Name: string(make([]byte, 4097))},
		"endless narrative": {Backend: newMemory(512), Description: string(make([]byte, 4097))},
	} {
		if New(Config{}).AddExport(e) == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

// TestGroupCommit checks the promise of FLUSH: an answer means that a flush
// ran that began after the request came; and that flushes are shared.
func TestGroupCommit(t *testing.T) {
	m := newMemory(1 << 20)
	var running, began atomic.Int32
	m.flush = func() error {
		if running.Add(1) != 1 {
			t.Error("two flushes at once")
		}
		began.Add(1)
		time.Sleep(time.Millisecond)
		running.Add(-1)
		return nil
	}
	r := newRig(t, Config{}, Export{Backend: m, MultiConn: true})
	clients := []*Client{r.dial(""), r.dial("")}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 25 {
				before := began.Load()
				var err error
				if i%2 == 0 {
					err = clients[i%4/2].Flush()
				} else {
					_, err = clients[i%4/2].WriteFUA(make([]byte, 512), int64(i)*512)
				}
				if err != nil {
					t.Error(err)
					return
				}
				if began.Load() == before {
					t.Error("answered without a flush")
				}
			}
		})
	}
	wg.Wait()
	if n := began.Load(); n >= 16*25/2 {
		t.Errorf("%d flushes for %d requests: not shared", n, 16*25)
	}
	if m.fua != 8*25 {
		t.Errorf("%d writes came marked FUA, want %d", m.fua, 8*25)
	}
}

// TestFlushError reaches all who waited for that flush, and only them.
func TestFlushError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("boom")
		started, release := make(chan struct{}, 8), make(chan error)
		g := groupCommit{flush: func() error { started <- struct{}{}; return <-release }}
		res := make(chan error, 8)
		go func() { res <- g.sync() }()
		<-started
		for range 3 {
			go func() { res <- g.sync() }()
		}
		synctest.Wait() // they gather in the next round
		release <- nil
		must(t, <-res)
		<-started
		release <- boom
		for range 3 {
			if err := <-res; err != boom {
				t.Errorf("sync: %v", err)
			}
		}
		go func() { res <- g.sync() }()
		<-started
		release <- nil
		must(t, <-res)
	})
}

// TestFlushDoesNotBlockOthers checks that requests sent after a flush do not wait for
// it, also after a time in which the client waited for each answer.
func TestFlushDoesNotBlockOthers(t *testing.T) {
	m := newMemory(1 << 20)
	r := newRig(t, Config{}, Export{Backend: m})
	c := r.raw()
	c.enter("")
	for i := range uint64(3) {
		c.write(req(cmdFlush, 0, i, 0, 0))
		c.simpleReply()
	}
	entered, release := make(chan struct{}, 1), make(chan struct{})
	m.mu.Lock()
	m.flush = func() error { entered <- struct{}{}; <-release; return nil }
	m.mu.Unlock()
	c.write(req(cmdFlush, 0, 10, 0, 0), req(cmdCache, 0, 11, 0, 512))
	if cookie, _ := c.simpleReply(); cookie != 11 {
		t.Fatalf("reply %d came first", cookie)
	}
	<-entered
	c.write(req(cmdCache, 0, 12, 0, 512))
	if cookie, _ := c.simpleReply(); cookie != 12 {
		t.Fatalf("reply %d came second", cookie)
	}
	close(release)
	if cookie, e := c.simpleReply(); cookie != 10 || e != 0 {
		t.Fatalf("reply %d, error %d came last", cookie, e)
	}
}

// TestLockstep checks that a wrong guess is noticed and remembered.
func TestLockstep(t *testing.T) {
	m := newMemory(1 << 20)
	r := newRig(t, Config{}, Export{Backend: m})
	c := r.raw()
	c.enter("")
	entered, release := make(chan struct{}, 4), make(chan struct{}, 4)
	m.mu.Lock()
	m.flush = func() error { entered <- struct{}{}; <-release; return nil }
	m.mu.Unlock()
	c.write(req(cmdFlush, 0, 1, 0, 0))
	<-entered
	c.write(req(cmdCache, 0, 2, 0, 512)) // sent without waiting, found after the flush
	release <- struct{}{}
	c.simpleReply()
	c.simpleReply()
	c.write(req(cmdFlush, 0, 3, 0, 0))
	<-entered
	c.write(req(cmdCache, 0, 4, 0, 512))
	if cookie, _ := c.simpleReply(); cookie != 4 {
		t.Fatalf("reply %d came first: the guess was not corrected", cookie)
	}
	release <- struct{}{}
	c.simpleReply()
}
