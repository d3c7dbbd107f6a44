package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"
	"time"

	"tidemark.dev/pkg/cdp"
)

// plantCommand makes this program a site in a process of its own, so that its
// processor time can be told from the rest.
const plantCommand = "plant"

// plantConfig is what such a process runs: one of the two.
type plantConfig struct {
	Source *sourceConfig
	Target *targetConfig
	// Profile is a file for a CPU profile; may be empty.
	Profile string
}

// plantMain answers one line for each line it reads, until there is no more: its
// parent's end is its own, and so signals to both are for the parent.
func plantMain(raw string) {
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	if err := plantRun(raw); err != nil {
		complain(err)
		os.Exit(1)
	}
}

func plantRun(raw string) error {
	var cfg plantConfig
	if err := json.Unmarshal([]byte(raw), &cfg); err != nil {
		return err
	}
	if cfg.Profile != "" {
		f, err := os.Create(cfg.Profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	ctx := context.Background()
	answer := func(s string) { fmt.Println(s) }
	var src *source
	var err error
	var end func() error
	if cfg.Source != nil {
		if src, err = startSource(ctx, *cfg.Source); err != nil {
			return err
		}
		end = src.close
		answer(src.srv.ClientURL())
	} else {
		t, err := startTarget(ctx, *cfg.Target, nil)
		if err != nil {
			return err
		}
		end = t.close
		answer("up")
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		err := fmt.Errorf("unknown order %q", in.Text())
		switch in.Text() {
		case "ready":
			err = src.ready(ctx)
		case "attached":
			err = src.attached(ctx)
		case "go":
			err = src.begin(ctx)
		case "merged":
			err = src.merged(ctx)
		case "settled":
			err = src.settled(ctx)
		case "overflows":
			answer(fmt.Sprint(src.events.overflows.Load()))
			continue
		}
		if err != nil {
			answer(err.Error())
		} else {
			answer("ok")
		}
	}
	return end()
}

// plant is such a process as its parent sees it.
type plant struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// startPlant starts the process and gives its first line.
func startPlant(cfg plantConfig) (*plant, string, error) {
	raw, err := json.Marshal(cfg)
	if err != nil {
		return nil, "", err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	p := &plant{cmd: exec.Command(self, plantCommand, string(raw))}
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, "", err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		return nil, "", err
	}
	if !p.out.Scan() {
		return nil, "", errors.Join(errors.New("a site did not start"), p.cmd.Wait())
	}
	return p, p.out.Text(), nil
}

func (p *plant) pid() int { return p.cmd.Process.Pid }

// ask gives the answer to an order.
func (p *plant) ask(order string) (string, error) {
	if _, err := fmt.Fprintln(p.in, order); err != nil {
		return "", err
	}
	if !p.out.Scan() {
		return "", errors.New("a site has died")
	}
	return p.out.Text(), nil
}

func (p *plant) do(order string) error {
	a, err := p.ask(order)
	if err == nil && a != "ok" {
		err = errors.New(a)
	}
	return err
}

func (p *plant) close() error {
	p.in.Close()
	stuck := time.AfterFunc(30*time.Second, func() { p.cmd.Process.Kill() })
	defer stuck.Stop()
	return p.cmd.Wait()
}

// sites are a source and a target, each a process.
type sites struct{ source, target *plant }

func startSites(b *Bench, name string, mode cdp.CaptureMode, groups []groupConfig) (*sites, error) {
	profile := func(of string) string {
		if b.profile == "" {
			return ""
		}
		return filepath.Join(b.profile, name+"-"+of+".pprof")
	}
	src, url, err := startPlant(plantConfig{Profile: profile("source"),
		Source: &sourceConfig{Dir: filepath.Join(b.dir, "source"), Mode: mode, Listen: true, Groups: groups}})
	if err != nil {
		return nil, err
	}
	dst, _, err := startPlant(plantConfig{Profile: profile("target"),
		Target: &targetConfig{Dir: filepath.Join(b.dir, "target"), URL: url, Mode: cdp.RollForward, Groups: groups}})
	if err != nil {
		return nil, errors.Join(err, src.close())
	}
	return &sites{src, dst}, nil
}

// close ends the target first: it talks over the source's bus.
func (s *sites) close() error { return errors.Join(s.target.close(), s.source.close()) }

// cpu is the processor time of both.
func (s *sites) cpu() (source, target time.Duration, err error) {
	source, err1 := cpu(s.source.pid())
	target, err2 := cpu(s.target.pid())
	return source, target, errors.Join(err1, err2)
}
