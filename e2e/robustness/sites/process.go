package sites

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Process is a program that can be killed and started again. Its output is
// gathered in one file over all its lives.
type Process struct {
	Name string
	Args []string
	Env  []string
	log  string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{}
}

func newProcess(dir, name string, args ...string) *Process {
	return &Process{Name: name, Args: args, log: filepath.Join(dir, name+".log")}
}

// Start starts it. It is killed when this process ends, however it ends.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return fmt.Errorf("%s runs already", p.Name)
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(p.Args[0], p.Args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env = out, out, append(os.Environ(), p.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, done := make(chan error), make(chan struct{})
	go func() {
		// The death signal is bound to the thread that starts the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.cmd, p.done = cmd, done
	return nil
}

func (p *Process) signal(s os.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		p.cmd.Process.Signal(s)
	}
}

// Kill is kill -9 of processes at once; it returns when they are gone.
func Kill(ps ...*Process) {
	for _, p := range ps {
		p.signal(syscall.SIGKILL)
	}
	for _, p := range ps {
		p.wait(time.Minute)
	}
}

// Kill is kill -9; it returns when the process is gone.
func (p *Process) Kill() { Kill(p) }

// End asks it to end, and waits. false: it did not in time, and was killed.
func (p *Process) End(d time.Duration) bool {
	p.signal(syscall.SIGTERM)
	if p.wait(d) {
		return true
	}
	p.Kill()
	return false
}

func (p *Process) wait(d time.Duration) bool {
	p.mu.Lock()
	done := p.done
	p.mu.Unlock()
	if done == nil {
		return true
	}
	select {
	case <-done:
	case <-time.After(d):
		return false
	}
	p.mu.Lock()
	p.cmd, p.done = nil, nil
	p.mu.Unlock()
	return true
}

// Runs reports whether it was started and has not ended by itself.
func (p *Process) Runs() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Freeze and Thaw are SIGSTOP and SIGCONT.
func (p *Process) Freeze() { p.signal(syscall.SIGSTOP) }
func (p *Process) Thaw()   { p.signal(syscall.SIGCONT) }

// Log is the end of its output.
func (p *Process) Log(n int) string {
	b, _ := os.ReadFile(p.log)
	return string(b[max(0, len(b)-n):])
}

// FreeAddr is an address at which nobody listens.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
