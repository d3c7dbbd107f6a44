package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tidemark.dev/e2e/proc"
)

// tidemark is a running `tidemark up` and its command line.
type tidemark struct {
	bin string
	dir string // of --dir
	out io.Writer
	up  *proc.Process
}

// start runs `tidemark up` on free ports over dir, and waits until it answers.
func start(ctx context.Context, bin, dir string, out io.Writer) (*tidemark, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var ports [3]int
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
		l.Close()
	}
	cfg := fmt.Sprintf("sites:\n  - {name: prod, listen: \"127.0.0.1:%d\"}\n  - {name: dr, listen: \"127.0.0.1:%d\", leaf: \"127.0.0.1:%d\"}\nlinks: [{from: prod, to: dr}]\n", ports[0], ports[1], ports[2])
	file := filepath.Join(dir, "up.yaml")
	if err := os.WriteFile(file, []byte(cfg), 0o600); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	t := &tidemark{bin: bin, dir: data, out: out, up: &proc.Process{Name: "tidemark up", Log: filepath.Join(dir, "up.log"),
		Args: []string{bin, "up", "--dir", data, "--config", file}}}
	if err := t.up.Start(); err != nil {
		return nil, err
	}
	return t, until(ctx, "tidemark up to answer (see "+t.up.Log+")", func() bool { _, err := t.quiet(ctx, "status"); return err == nil })
}

// stop ends it and waits.
func (t *tidemark) stop() error {
	if err := t.up.Running(); err != nil {
		return err
	}
	return proc.Stop(20*time.Second, t.up)
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
