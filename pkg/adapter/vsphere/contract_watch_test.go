package vsphere_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
)

// watching runs a watch, and gives what tells of changes. It is joined at the
// test's end.
func (e *env) watching() <-chan struct{} {
	told := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(e.ctx)
	done := make(chan error, 1)
	go func() {
		done <- e.c.Watch(ctx, func() {
			select {
			case told <- struct{}{}:
			default:
			}
		})
	}()
	e.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				e.Errorf("the watch ended with %v", err)
			}
		case <-time.After(2 * time.Minute):
			e.Error("the watch does not end")
		}
	})
	return told
}

func (e *env) tells(told <-chan struct{}, what string) {
	e.Helper()
	select {
	case <-told:
	case <-time.After(2 * time.Minute):
		e.Fatalf("the watch does not tell of %s", what)
	}
}

// quiet waits until nothing is told any more.
func (e *env) quiet(told <-chan struct{}) {
	for {
		select {
		case <-told:
		case <-time.After(1500 * time.Millisecond):
			return
		}
	}
}

func contractWatch(e *env) {
	vm := e.vm("watched")
	told := e.watching()
	e.tells(told, "the beginning")
	if e.sim != nil {
		e.quiet(told) // a real one always has news
	}
	e.must(e.c.Label(e.ctx, vm, "", "another note", nil))
	e.tells(told, "a note")
}

func TestWatchOutlives(t *testing.T) {
	e := target(t, vcsim.Config{})
	told := e.watching()
	e.tells(told, "the beginning")
	e.quiet(told)
	e.must(e.sim.FailHost(e.host.Name))
	e.tells(told, "a lost host")
	e.quiet(told)
	e.sim.ExpireSessions()
	e.must(e.sim.HealHost(e.host.Name))
	e.tells(told, "what happened while the session was lost")
	e.quiet(told)
	e.must(e.sim.Restart(true))
	e.tells(told, "a restart")
}

func TestWatchIsOftenEnough(t *testing.T) {
	e := target(t, vcsim.Config{})
	vm := e.vm("busy")
	told := e.watching()
	e.tells(told, "the beginning")
	e.quiet(told)
	began, n := time.Now(), 0
	for n == 0 || time.Since(began) < 2500*time.Millisecond {
		e.must(e.c.Label(e.ctx, vm, "", "note "+time.Now().String(), nil))
		select {
		case <-told:
			n++
		default:
		}
	}
	if took := time.Since(began); n > 2+int(took/time.Second) {
		t.Errorf("it told %d times in %v", n, took)
	}
}

// Watch does not wait silently for a vCenter that does not come back.
func TestWatchEndsWhenItIsLost(t *testing.T) {
	e := target(t, vcsim.Config{})
	told := make(chan struct{}, 100)
	done := make(chan error, 1)
	go func() { done <- e.c.Watch(e.ctx, func() { told <- struct{}{} }) }()
	<-told
	e.sim.Stop()
	e.is(<-done, cdp.Transient)
	e.must(e.sim.Resume())
}
