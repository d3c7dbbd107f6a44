package compose

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidemark.dev/e2e/proc"
)

// engine is a container engine of its own.
type engine struct {
	netns   string
	env     []string
	dockerd *proc.Process
}

// startEngine starts one that ends with the test.
func startEngine(t *testing.T) *engine {
	t.Helper()
	if os.Getenv("TIDEMARK_CONTAINERS") == "0" {
		if os.Getenv("CI") == "true" {
			t.Fatal("TIDEMARK_CONTAINERS=0 under CI=true: CI must run the container tests")
		}
		t.Skip("NOT TESTED: TIDEMARK_CONTAINERS=0 is set, so no container ran")
	}
	if os.Geteuid() != 0 {
		t.Fatal("this test runs a container engine: run it as root, or set TIDEMARK_CONTAINERS=0")
	}
	for _, tool := range []string{"dockerd", "docker-compose", "ip", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%v: run make tools, or set TIDEMARK_CONTAINERS=0", err)
		}
	}
	dir, err := os.MkdirTemp("", "tmeng")
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{netns: filepath.Base(dir), env: append(os.Environ(), "DOCKER_HOST=unix://"+dir+"/sock")}
	t.Cleanup(func() {
		if e.dockerd != nil {
			if err := proc.Stop(time.Minute, e.dockerd); err != nil {
				t.Error(err)
			}
		}
		_ = exec.Command("ip", "netns", "delete", e.netns).Run() // it may never have been made
		if err := os.RemoveAll(dir); err != nil {
			t.Log("left behind:", err)
		}
	})
	for _, cmd := range [][]string{{"ip", "netns", "add", e.netns}, {"ip", "-n", e.netns, "link", "set", "lo", "up"}} {
		if out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", cmd, err, out)
		}
	}
	// nsenter, as ip netns exec would hide the mounts of the control groups.
	d := &proc.Process{Name: "dockerd", Log: filepath.Join(dir, "log"), Args: []string{"nsenter", e.ns(), "dockerd",
		"--data-root", dir + "/data", "--exec-root", dir + "/exec", "--pidfile", dir + "/pid", "-H", "unix://" + dir + "/sock"}}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	e.dockerd = d
	eventually(t, "the engine to answer", func() error {
		if err := d.Running(); err != nil {
			t.Fatal(err)
		}
		_, err := e.run("docker", "version")
		return err
	})
	return e
}

func (e *engine) ns() string { return "--net=/var/run/netns/" + e.netns }

// run runs a command at the top of the tree, beside the engine.
func (e *engine) run(args ...string) (string, error) {
	cmd := exec.Command("nsenter", append([]string{e.ns()}, args...)...)
	cmd.Dir, cmd.Env = top, e.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

func (e *engine) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := e.run(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited 3 minutes in vain for %s: %v", what, err)
		}
	}
}
