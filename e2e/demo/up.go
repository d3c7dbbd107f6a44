package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tidemark.dev/e2e/proc"
)

// tidemark is two sites, each a running `tidemark up`, and their command line.
type tidemark struct {
	bin      string
	dir      string // of --dir
	out      io.Writer
	prod, dr *proc.Process
	bus      string // of prod
}

const upYAML = `sites:
  - {name: prod, listen: "%s"}
  - {name: dr, listen: "%s", leaf: "%s"}
`

// start runs `tidemark up` for each site, over dir, and waits until both answer.
func start(ctx context.Context, bin, dir string, out io.Writer) (*tidemark, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var addrs [3]string
	for i := range addrs {
		if addrs[i], err = proc.FreeAddr(); err != nil {
			return nil, err
		}
	}
	t := &tidemark{bin: bin, dir: filepath.Join(dir, "data"), out: out, bus: addrs[0]}
	file := filepath.Join(dir, "up.yaml")
	sites := fmt.Sprintf(upYAML, addrs[0], addrs[1], addrs[2])
	if err := os.WriteFile(file, []byte(sites+"links: [{from: prod, to: dr}]\n"), 0o600); err != nil {
		return nil, err
	}
	links, err := t.quiet(ctx, "site", "keys", "prod", "--config", file) // as for sites on two machines
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, append([]byte(sites), links...), 0o600); err != nil {
		return nil, err
	}
	for name, p := range map[string]**proc.Process{"prod": &t.prod, "dr": &t.dr} {
		*p = t.process("tidemark up of "+name, "up", "--config", file, "--allow", dir, "--only", name)
		if err := (*p).Start(); err != nil {
			return nil, errors.Join(err, t.stop())
		}
	}
	if err := t.answers(ctx); err != nil {
		return nil, errors.Join(err, t.stop())
	}
	return t, nil
}

// answers waits until both sites do.
func (t *tidemark) answers(ctx context.Context) error {
	return until(ctx, "both sites to answer (see "+t.dr.Log+")", func() bool {
		_, here := t.quiet(ctx, "status", "--site", "dr")
		_, there := t.quiet(ctx, "status", "--site", "prod")
		return here == nil && there == nil
	})
}

// process is a tidemark that runs until it is stopped.
func (t *tidemark) process(name string, args ...string) *proc.Process {
	return &proc.Process{Name: name, Log: filepath.Join(filepath.Dir(t.dir), strings.ReplaceAll(name, " ", "-")+".log"),
		Args: append([]string{t.bin, "--dir", t.dir}, args...)}
}

// stop ends both sites and waits. One that was killed is no matter.
func (t *tidemark) stop() error {
	var running []*proc.Process
	for _, p := range []*proc.Process{t.prod, t.dr} {
		if p != nil && p.Running() == nil {
			running = append(running, p)
		}
	}
	return proc.Stop(20*time.Second, running...)
}

// run runs a command as a person would, and shows both command and output.
func (t *tidemark) run(ctx context.Context, args ...string) error {
	fmt.Fprintf(t.out, "   $ tidemark %s\n", strings.Join(args, " "))
	out, err := t.quiet(ctx, args...)
	for _, l := range strings.Split(strings.TrimRight(string(out), "\n"), "\n") {
		fmt.Fprintf(t.out, "     %s\n", l)
	}
	return err
}

func (t *tidemark) quiet(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.bin, append([]string{"--dir", t.dir}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("tidemark %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out, err
}

// ask runs a command with -o json and decodes what it says.
func ask[T any](ctx context.Context, t *tidemark, args ...string) (T, error) {
	var v T
	out, err := t.quiet(ctx, append(args, "-o", "json")...)
	if err == nil {
		err = json.Unmarshal(out, &v)
	}
	return v, err
}

func until(ctx context.Context, what string, ok func() bool) error {
	for end := time.Now().Add(2 * time.Minute); !ok(); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited 2 minutes in vain for %s", what)
		}
	}
	return nil
}
