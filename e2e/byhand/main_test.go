package byhand

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// bin has the programs tidemark and nats.
var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tmbyhand")
	if err == nil {
		defer os.RemoveAll(dir)
		bin = dir
		err = build("tidemark", "tidemark.dev/services/tidemark")
	}
	if err == nil {
		err = build("nats", "github.com/nats-io/natscli/nats", "GOWORK=off", "CGO_ENABLED=0", "GOFLAGS=-trimpath")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build builds a program; with an environment, in the module of the NATS CLI.
func build(name, what string, env ...string) error {
	c := exec.Command("go", "build", "-ldflags", "-s -w", "-o", filepath.Join(bin, name), what)
	if len(env) > 0 {
		c.Dir, c.Env = "../natscli", append(os.Environ(), env...)
	}
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", what, err, out)
	}
	return nil
}
