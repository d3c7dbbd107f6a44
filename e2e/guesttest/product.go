package guesttest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tidemark.dev/e2e/proc"
)

// Product is a running Tidemark of two sites, in a directory of its own and on
// ports that nobody else has.
type Product struct {
	Bin string
	// Dir is short, for sockets are in it.
	Dir string
	// Disks is where disks and replicas are, if not in Dir.
	Disks string
	// Apart runs the source's capture in a process of its own, so that it can be
	// killed alone.
	Apart bool
	// Show, if not nil, gets what Run runs and what that printed.
	Show io.Writer

	up, capture *proc.Process
}

// Start starts it. It may have run in the directory before.
func (p *Product) Start(ctx context.Context) error {
	services := "[capture]"
	if p.Apart {
		services = "[]"
	}
	config := filepath.Join(p.Dir, "up.yaml")
	text := fmt.Sprintf("sites:\n  - {name: prod, listen: \"127.0.0.1:0\", services: %s}\n"+
		"  - {name: dr, listen: \"127.0.0.1:0\", leaf: \"127.0.0.1:0\", services: [journal, scheduler, rpo-monitor, failover]}\n"+
		"links: [{from: prod, to: dr}]\n", services)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	_ = os.Remove(filepath.Join(p.state(), "context.json")) // of an earlier run, with other ports
	var err error
	if p.up, err = p.start("up", "up", "--config", config, "--allow", p.disks()); err != nil {
		return err
	}
	for {
		if err := p.up.Running(); err != nil {
			return err
		}
		if _, err = p.CLI(ctx, "status"); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	if !p.Apart {
		return nil
	}
	p.capture, err = p.start("capture", "serve", "capture", "--allow", p.disks(), "--site", "prod", "--peer", "dr", "--credentials", filepath.Join(p.state(), "prod", "credentials.json"))
	return err
}

// state is the product's own directory.
func (p *Product) state() string { return filepath.Join(p.Dir, "d") }

func (p *Product) disks() string { return cmp.Or(p.Disks, p.Dir) }

// KillCapture kills -9 the source's capture, which must run Apart.
func (p *Product) KillCapture() { proc.Kill(p.capture) }

// all are the processes that were started, in the order of their end.
func (p *Product) all() []*proc.Process {
	return slices.DeleteFunc([]*proc.Process{p.capture, p.up}, func(x *proc.Process) bool { return x == nil })
}

// Stop ends everything as an operator does; what does not end is killed and told.
func (p *Product) Stop() error {
	var errs []error
	for _, x := range p.all() {
		errs = append(errs, proc.Stop(30*time.Second, x))
	}
	return errors.Join(errs...)
}

// Log is what the product's processes have said.
func (p *Product) Log() string {
	up, _ := os.ReadFile(filepath.Join(p.Dir, "up.log"))
	capture, _ := os.ReadFile(filepath.Join(p.Dir, "capture.log"))
	return string(up) + string(capture)
}

// CLI runs a command and returns what it printed. The error has the command and
// what it complained of.
func (p *Product) CLI(ctx context.Context, args ...string) (string, error) {
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, p.Bin, args...)
	cmd.Env = append(os.Environ(), "TIDEMARK_DIR="+p.state())
	cmd.Stdout, cmd.Stderr = &out, &complaint
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("tidemark %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}

// Run is CLI for what a person is to see.
func (p *Product) Run(ctx context.Context, args ...string) (string, error) {
	out, err := p.CLI(ctx, args...)
	if p.Show != nil {
		fmt.Fprintf(p.Show, "   $ tidemark %s\n", strings.Join(args, " "))
		for line := range strings.Lines(out) {
			fmt.Fprintf(p.Show, "     %s\n", strings.TrimRight(line, "\n"))
		}
	}
	return out, err
}

// start runs a command that stays.
func (p *Product) start(name string, args ...string) (*proc.Process, error) {
	x := &proc.Process{Name: name, Args: slices.Concat([]string{p.Bin}, args, []string{"--dir", p.state()}), Log: filepath.Join(p.Dir, name+".log")}
	return x, x.Start()
}

// Forget removes what a killed capture leaves of a job in memory; in production
// its next start takes that over.
func (p *Product) Forget(job string) error {
	return proc.ForgetWindows(job)
}
