package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"tidemark.dev/e2e/proc"
)

// stack is deploy/compose/demo.yaml with its directory.
type stack struct {
	dir  string
	args []string // of Docker Compose, the program first
	env  []string
}

// demoConfig is up.yaml of the two sites. Their servers run in the containers prod-nats
// and dr-nats.
const demoConfig = `sites:
  - {name: prod, listen: "0.0.0.0:4222", services: []}
  - {name: dr, listen: "0.0.0.0:%s", leaf: "0.0.0.0:7422", services: []}
links:
  - {from: prod, to: dr, dial: "dr-nats:7422"%s}
`

// prepare makes what the containers mount: directories, up.yaml with the key of the
// link, and the secrets of each site.
func prepare(ctx context.Context, bin, dir string) (*stack, error) {
	if out, err := exec.CommandContext(ctx, "docker", "version").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("the demo needs Docker, and its engine does not answer: %w: %s", err, out)
	}
	s := &stack{dir: dir}
	if _, err := exec.LookPath("docker-compose"); err == nil {
		s.args = []string{"docker-compose"}
	} else {
		s.args = []string{"docker", "compose"}
	}
	s.args = append(s.args, "-p", filepath.Base(dir), "-f", "deploy/compose/demo.yaml")
	addr, err := proc.FreeAddr()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	s.env = append(os.Environ(), "TIDEMARK_HOME="+dir, "TIDEMARK_PORT="+port, fmt.Sprintf("TIDEMARK_USER=%d:%d", os.Getuid(), os.Getgid()))
	for _, d := range []string{"nats-prod", "nats-dr", "prod/capture", "dr/journal", "source", "replica", "windows"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return nil, err
		}
	}
	return s, s.secrets(ctx, bin, port)
}

// secrets makes the key of the link and the users of both sites, where they belong.
func (s *stack) secrets(ctx context.Context, bin, port string) error {
	file := filepath.Join(s.dir, "up.yaml")
	site := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, bin, append([]string{"site"}, args...)...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("tidemark site %v: %w: %s", args, err, out)
		}
		return string(out), err
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, demoConfig, port, ""), 0o600); err != nil {
		return err
	}
	text, err := site("keys", "prod", "--config", file, "--dir", filepath.Join(s.dir, "nats-prod"))
	if err != nil {
		return err
	}
	key := regexp.MustCompile(`key: (U\w+)`).FindStringSubmatch(text)
	if key == nil {
		return fmt.Errorf("tidemark site keys printed no key: %s", text)
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, demoConfig, port, ", key: "+key[1]), 0o600); err != nil {
		return err
	}
	for _, name := range []string{"prod", "dr"} {
		if _, err := site("secrets", name, "--config", file, "--dir", filepath.Join(s.dir, "nats-"+name), "--out", filepath.Join(s.dir, "secrets-"+name)); err != nil {
			return err
		}
	}
	return nil
}

// compose runs Docker Compose; what it says is shown if it fails.
func (s *stack) compose(ctx context.Context, args ...string) error {
	out, err := s.output(ctx, args...)
	if err != nil {
		return fmt.Errorf("docker compose %v: %w: %s", args, err, out)
	}
	return nil
}

func (s *stack) output(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, s.args[0], append(s.args[1:], args...)...)
	cmd.Env = s.env
	return cmd.CombinedOutput()
}

// running are the services that have a container.
func (s *stack) running(ctx context.Context) ([]string, error) {
	cmd := exec.CommandContext(ctx, "docker", "ps", "--filter", "label=com.docker.compose.project="+filepath.Base(s.dir), "--format", `{{.Label "com.docker.compose.service"}}`)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("list the containers: %w: %s", err, out)
	}
	return strings.Fields(string(out)), nil
}

// logs is the end of what the containers logged, for whoever looks for the cause.
func (s *stack) logs() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, _ := s.output(ctx, "logs", "--no-color", "--tail", "20") // the error that it explains is what counts
	return string(out)
}

// down removes the containers and networks, whatever happened before.
func (s *stack) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return s.compose(ctx, "down", "-t", "5")
}
