package labtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The programs under test.
var tidemark, lab string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Getenv("TIDEMARK_GUEST") == "0" {
			return m.Run() // every test skips, loudly
		}
		dir, err := os.MkdirTemp("", "tmbin")
		if err == nil {
			defer os.RemoveAll(dir)
			tidemark, err = program(dir, "TIDEMARK_BIN", "services/tidemark")
		}
		if err == nil {
			lab, err = program(dir, "TIDEMARK_LAB_BIN", "e2e/lab")
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// program is what the environment names, or else what is built of a package.
func program(dir, env, pkg string) (string, error) {
	if bin := os.Getenv(env); bin != "" {
		return filepath.Abs(bin)
	}
	bin := filepath.Join(dir, filepath.Base(pkg))
	out, err := exec.Command("go", "build", "-race", "-o", bin, "tidemark.dev/"+pkg).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return bin, nil
}
