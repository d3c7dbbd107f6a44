package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/e2e/proc"
	"tidemark.dev/pkg/adapter/vcsim"
)

// world is two sites. That of the target, dr, has a vCenter, and all services but the
// journal, which the appliance is to run.
type world struct {
	*testing.T
	ctx     context.Context
	dir     string
	up      *proc.Process
	hyper   *hypervisor
	vc      *vcsim.Site
	clock   *timeServer
	nats    string // dr's, as the appliance sees it
	forward string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	guest.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
	t.Cleanup(cancel)
	dir, err := os.MkdirTemp("", "tmo") // short: sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var addr [4]string
	for i := range addr {
		if addr[i], err = proc.FreeAddr(); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{T: t, ctx: ctx, clock: newTimeServer(t), dir: dir, forward: addr[3], nats: "nats://10.0.2.2" + addr[1][strings.LastIndex(addr[1], ":"):]}
	w.hyper = &hypervisor{dir: dir, forward: addr[3], vms: map[string]*proc.Process{}}
	if w.vc, err = vcsim.Start(vcsim.Config{Name: "dr", Dir: filepath.Join(dir, "vc"), OnPower: w.hyper.power}); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "up.yaml")
	w.write(config, fmt.Sprintf("sites:\n  - {name: prod, listen: %q}\n  - {name: dr, listen: %q, leaf: %q, services: [scheduler, rpo-monitor, failover, vcenter]}\nlinks: [{from: prod, to: dr}]\n", addr[0], addr[1], addr[2]))
	w.run("site", "secrets", "dr", "--config", config, "--out", filepath.Join(dir, "secrets"))
	w.write(filepath.Join(w.state(), "dr", "vcenters", "sim.yaml"), fmt.Sprintf("username: %q\npassword: %q\nurl: %s\nthumbprint: %q\n", w.vc.User(), w.vc.Password(), strings.TrimSuffix(w.vc.URL(), "/sdk"), w.vc.Thumbprint()))
	w.up = &proc.Process{Name: "up", Log: filepath.Join(dir, "up.log"), Args: []string{tidemark, "up", "--dir", w.state(), "--config", config, "--allow", dir}}
	w.must(w.up.Start())
	t.Cleanup(w.end)
	return w
}

func (w *world) end() {
	if w.Failed() {
		w.Logf("%s\n--- tidemark up\n%s", w.hyper.consoles(), w.up.Tail(4000))
	}
	if err := proc.Stop(time.Minute, w.up); err != nil {
		w.Error(err)
	}
	w.hyper.end()
	w.vc.Close()
}

func (w *world) state() string { return filepath.Join(w.dir, "t") }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) write(path, text string) {
	w.Helper()
	w.must(os.MkdirAll(filepath.Dir(path), 0o700))
	w.must(os.WriteFile(path, []byte(text), 0o600))
}

// try runs the command line.
func (w *world) try(args ...string) (string, error) {
	c := exec.CommandContext(w.ctx, tidemark, args...)
	c.Env = append(os.Environ(), "TIDEMARK_DIR="+w.state())
	var warnings strings.Builder
	c.Stderr = &warnings
	out, err := c.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, warnings.String())
	}
	return string(out), err
}

func (w *world) run(args ...string) string {
	w.Helper()
	out, err := w.try(args...)
	if err != nil {
		w.Fatalf("tidemark %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// until repeats a command until it prints something.
func (w *world) until(want string, args ...string) string {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, bootWait)
	defer cancel()
	for {
		out, err := w.try(args...)
		if err == nil && strings.Contains(out, want) {
			return out
		}
		select {
		case <-ctx.Done():
			w.Fatalf("tidemark %s never printed %q: %v\n%s", strings.Join(args, " "), want, err, out)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
