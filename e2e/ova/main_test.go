package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// tidemark is the program under test, as make build builds it: static, for it is the
// only one in the appliance.
var tidemark string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Getenv("TIDEMARK_GUEST") == "0" {
			return m.Run() // every test skips, loudly
		}
		dir, err := os.MkdirTemp("", "tmova")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		tidemark = filepath.Join(dir, "tidemark")
		c := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", tidemark, "tidemark.dev/services/tidemark")
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build tidemark: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}
