package vcsim

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// guestTools are the programs of this machine that a guest has. There is none among
// them that changes this machine.
var guestTools = []string{"basename", "cat", "cut", "date", "dirname", "echo", "false", "grep", "head", "ls", "mkdir", "mv", "rm", "sed", "sh", "sleep", "sort", "tail", "test", "touch", "tr", "true", "wc"}

// GuestProgram is a program that a client starts in a guest other than a shell. Dir is
// the root of the guest.
type GuestProgram struct {
	Dir, Path, Args string
}

// guests run programs. A shell is a real one, with the guest's directory in place of its
// root where a path is an argument, and without any program but its tools.
type guests struct {
	// program runs what is not a shell, until it ends.
	program func(GuestProgram)

	mu    sync.Mutex
	ctx   context.Context
	stop  context.CancelFunc
	last  int64
	procs map[string][]types.GuestProcessInfo // by guest
	files map[string]string                   // by the token of a transfer: local file
	done  sync.WaitGroup
}

func newGuests(program func(GuestProgram)) *guests {
	g := &guests{program: program, procs: map[string][]types.GuestProcessInfo{}, files: map[string]string{}}
	g.ctx, g.stop = context.WithCancel(context.Background())
	return g
}

// close ends the programs and waits for them.
func (g *guests) close() {
	g.stop()
	g.done.Wait()
}

func (g *guests) start(dir string, spec *types.GuestProgramSpec) (int64, fault) {
	run := func() { g.program(GuestProgram{Dir: dir, Path: spec.ProgramPath, Args: spec.Arguments}) }
	switch {
	case spec.ProgramPath == "/bin/sh":
		for _, name := range guestTools {
			at, err := exec.LookPath(name)
			to := filepath.Join(dir, "bin", name)
			if _, here := os.Lstat(to); err == nil && os.IsNotExist(here) {
				err = os.Symlink(at, to)
			}
			if err != nil {
				return 0, systemError(err)
			}
		}
		cmd := exec.CommandContext(g.ctx, "/bin/sh", insideGuest(dir, spec.Arguments))
		cmd.Env = []string{"PATH=" + filepath.Join(dir, "bin"), "TIDEMARK_ROOT=" + dir}
		cmd.WaitDelay = time.Second
		run = func() { _ = cmd.Run() } // its exit code is the client's business
	case g.program == nil:
		return 0, guestFault(spec.ProgramPath, os.ErrNotExist)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last++
	pid, at := g.last, len(g.procs[dir])
	g.procs[dir] = append(g.procs[dir], types.GuestProcessInfo{
		Name: spec.ProgramPath, Pid: pid, CmdLine: spec.ProgramPath + " " + spec.Arguments, StartTime: time.Now(),
	})
	g.done.Go(func() {
		run()
		g.mu.Lock()
		defer g.mu.Unlock()
		g.procs[dir][at].EndTime = new(time.Now())
	})
	return pid, nil
}

func (g *guests) list(dir string) []types.GuestProcessInfo {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]types.GuestProcessInfo{}, g.procs[dir]...)
}

// guestURL is where a client reads or writes a file of a guest.
func (s *Site) guestURL(file string) string {
	token := rand.Text()
	s.guests.mu.Lock()
	s.guests.files[token] = file
	s.guests.mu.Unlock()
	return (&url.URL{Scheme: "https", Host: s.addr, Path: "/guest/" + token}).String()
}

// serveGuest serves such a URL. Unlike a datastore's it needs no session.
func (s *Site) serveGuest(w http.ResponseWriter, r *http.Request) {
	s.guests.mu.Lock()
	file := s.guests.files[strings.TrimPrefix(r.URL.Path, "/guest/")]
	s.guests.mu.Unlock()
	if file == "" {
		http.NotFound(w, r)
		return
	}
	if r.Method == http.MethodGet {
		b, err := os.ReadFile(file)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
		return
	}
	b, err := io.ReadAll(r.Body)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
