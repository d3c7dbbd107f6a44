// Package proc runs programs that can be killed and started again, and that
// never outlive the process that started them.
package proc

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Process is a program. Its output is gathered in one file over all its lives.
// Its methods may be called from several goroutines.
type Process struct {
	Name string
	Args []string // the program first
	Env  []string // beside this process's own
	Log  string   // file of its output, appended to

	mu   sync.Mutex
	life *life // nil: it was never started, or was waited for
}

type life struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	exit error         // valid once done is closed
}

// Start starts it, in a process group of its own so that a terminal's ctrl-c is
// this process's to handle. The kernel kills it when this process ends, however
// it ends: that signal is bound to the thread that starts the child, so the
// thread waits for it.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life != nil && !p.life.ended() {
		return fmt.Errorf("%s runs already", p.Name)
	}
	out, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	l := &life{cmd: exec.Command(p.Args[0], p.Args[1:]...), done: make(chan struct{})}
	l.cmd.Stdout, l.cmd.Stderr, l.cmd.Env = out, out, append(os.Environ(), p.Env...)
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer out.Close()
		err := l.cmd.Start()
		started <- err
		if err == nil {
			l.exit = l.cmd.Wait()
			close(l.done)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.life = l
	return nil
}

func (l *life) ended() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func (p *Process) current() *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life
}

func (p *Process) signal(s os.Signal) {
	if l := p.current(); l != nil && !l.ended() {
		_ = l.cmd.Process.Signal(s) // one that has just ended takes none
	}
}

// Kill is kill -9 of processes at once; it returns when they are gone.
func Kill(ps ...*Process) {
	for _, p := range ps {
		p.signal(syscall.SIGKILL)
	}
	for _, p := range ps {
		if l := p.current(); l != nil {
			<-l.done
		}
	}
}

// Freeze and Thaw are SIGSTOP and SIGCONT.
func (p *Process) Freeze() { p.signal(syscall.SIGSTOP) }
func (p *Process) Thaw()   { p.signal(syscall.SIGCONT) }

// Stop asks processes to end, all at once, and kills those that have not within
// the time. The error names the first that had to be killed or ended badly; one
// that had ended before is no matter of Stop's.
func Stop(within time.Duration, ps ...*Process) (err error) {
	var asked []*Process
	for _, p := range ps {
		if p.Running() == nil {
			p.signal(syscall.SIGTERM)
			asked = append(asked, p)
		}
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	late := false
	for _, p := range asked {
		l := p.current()
		if !late {
			select {
			case <-l.done:
			case <-timer.C:
				late = true
			}
		}
		var bad error
		if !l.ended() {
			Kill(p)
			bad = fmt.Errorf("%s did not stop within %s and was killed; see %s", p.Name, within, p.Log)
		} else if l.exit != nil {
			bad = fmt.Errorf("%s was asked to stop and ended with %w; see %s", p.Name, l.exit, p.Log)
		}
		if err == nil {
			err = bad
		}
	}
	return err
}

// Running is nil while it runs; else it says how it ended.
func (p *Process) Running() error {
	l := p.current()
	switch {
	case l == nil:
		return fmt.Errorf("%s does not run", p.Name)
	case l.ended():
		return fmt.Errorf("%s ended: %v; its output ends:\n%s", p.Name, l.exit, p.Tail(2000))
	}
	return nil
}

// Done is closed when the life that was started last has ended. The process
// must have been started.
func (p *Process) Done() <-chan struct{} { return p.current().done }

// Pid is the process that was started last.
func (p *Process) Pid() int { return p.current().cmd.Process.Pid }

// Tail is the end of its output.
func (p *Process) Tail(n int) string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-n):])
}
