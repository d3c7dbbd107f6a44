package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tidemark.dev/e2e/proc"
)

// machine is a process of `tidemark up` with both sites, and the command line.
type machine struct {
	binary, dir string
	up          *proc.Process
}

// startMachine builds tidemark and runs it until stop. Its sites may use the bench's
// directory, and those in more.
func startMachine(b *Bench, more ...string) (*machine, error) {
	dir, err := shortDir() // it holds sockets
	if err != nil {
		return nil, err
	}
	m := &machine{binary: filepath.Join(b.dir, "tidemark"), dir: dir}
	if out, err := exec.Command("go", "build", "-o", m.binary, "tidemark.dev/services/tidemark").CombinedOutput(); err != nil {
		m.stop()
		return nil, fmt.Errorf("build: %w: %s", err, out)
	}
	config := filepath.Join(b.dir, "up.yaml")
	if err := os.WriteFile(config, []byte("sites:\n  - {name: prod, listen: \"127.0.0.1:0\", services: [capture, vcenter]}\n"+
		"  - {name: dr, listen: \"127.0.0.1:0\", leaf: \"127.0.0.1:0\", services: [journal, scheduler, rpo-monitor, failover, vcenter]}\nlinks: [{from: prod, to: dr}]\n"), 0o600); err != nil {
		m.stop()
		return nil, err
	}
	args := []string{m.binary, "up", "--dir", m.state(), "--config", config}
	for _, allowed := range append(more, m.dir, b.dir) {
		args = append(args, "--allow", allowed)
	}
	m.up = &proc.Process{Name: "up", Args: args, Log: filepath.Join(b.dir, "up.log")}
	if err := m.start(b); err != nil {
		m.stop()
		return nil, err
	}
	return m, nil
}

func (m *machine) state() string { return filepath.Join(m.dir, "d") }

// start starts the process, again too, until it answers.
func (m *machine) start(b *Bench) error {
	if err := m.up.Start(); err != nil {
		return err
	}
	return until(b, time.Minute, func() (bool, error) { _, err := m.tidemark("", "status"); return err == nil, err })
}

func (m *machine) stop() {
	if m.up != nil {
		_ = proc.Stop(30*time.Second, m.up) // killed if it does not
	}
	os.RemoveAll(m.dir)
}

// tidemark runs a command.
func (m *machine) tidemark(in string, args ...string) (string, error) {
	c := exec.Command(m.binary, append(args, "--dir", m.state())...)
	c.Stdin = strings.NewReader(in)
	out, err := c.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("tidemark %v: %w: %s%s", args, err, out, m.up.Tail(4000))
	}
	return string(out), err
}

// protected is how long it takes until so many jobs are protected.
func (m *machine) protected(b *Bench, jobs int, most time.Duration) (time.Duration, error) {
	return m.count(b, jobs, most, " protected ")
}

// count is how long it takes until so many jobs are in one of some states.
func (m *machine) count(b *Bench, jobs int, most time.Duration, states ...string) (time.Duration, error) {
	began := time.Now()
	err := until(b, most, func() (bool, error) {
		out, err := m.tidemark("", "status")
		n := 0
		for _, s := range states {
			n += strings.Count(out, s)
		}
		if n < jobs {
			time.Sleep(500 * time.Millisecond) // to answer costs the process, too
		}
		return err == nil && n >= jobs, fmt.Errorf("%d of %d jobs are%s; %v", n, jobs, strings.Join(states, "or"), err)
	})
	return time.Since(began), err
}
