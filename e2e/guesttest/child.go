package guesttest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// child is a process that dies with this one, however this one dies.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	exit error         // valid once done is closed
	log  string        // file of its output
	once sync.Once
}

// startChild runs a program with its output in the file log, which is appended
// to. The kernel kills a child when the thread that made it ends (Pdeathsig), so
// that thread waits for it.
func startChild(log, program string, args ...string) (*child, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(program, args...), done: make(chan struct{}), log: log}
	c.cmd.Stdout, c.cmd.Stderr = f, f
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer f.Close()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.exit = c.cmd.Wait()
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return c, nil
}

// kill ends it as kill -9 does.
func (c *child) kill() {
	select {
	case <-c.done:
	default:
		_ = c.cmd.Process.Kill()
	}
	<-c.done
}

// stop asks it to end, and is an error if it does not within the time or ends
// badly.
func (c *child) stop(within time.Duration) (err error) {
	c.once.Do(func() {
		select {
		case <-c.done:
			return // it was killed, or ended by itself
		default:
		}
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-c.done:
			if c.exit != nil {
				err = fmt.Errorf("%s ended with %w; see %s", c.cmd.Args[1], c.exit, c.log)
			}
		case <-time.After(within):
			c.kill()
			err = fmt.Errorf("%s did not stop within %s; see %s", c.cmd.Args[1], within, c.log)
		}
	})
	return err
}

// running tells whether it has not ended; the error says how it did.
func (c *child) running() error {
	select {
	case <-c.done:
		text, _ := os.ReadFile(c.log)
		return fmt.Errorf("%s ended by itself: %v; its output ends:\n%s", c.cmd.Args[1], c.exit, tail(string(text), 2000))
	default:
		return nil
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}
