package qmp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// shortDir is a directory whose path leaves room in a socket address (108 bytes).
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "qmp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// start runs a program until the test ends and waits until the unix socket
// accepts.
func start(t *testing.T, socket, program string, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("%v: apt-get install -y --no-install-recommends qemu-utils qemu-system-common", err)
	}
	var out bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(cmd) })
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			return cmd
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v: %s", program, err, out.String())
		}
	}
}

func kill(cmd *exec.Cmd) {
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	cmd.Wait()
}

// storageDaemon runs a qemu-storage-daemon with the raw image as node src, which
// it also exports over NBD, writable, so that a test can play the guest.
func storageDaemon(t *testing.T, dir, image string) (c *Client, nbd string) {
	t.Helper()
	monitor, nbd := filepath.Join(dir, "mon"), filepath.Join(dir, "src")
	start(t, nbd, "qemu-storage-daemon",
		"--chardev", "socket,id=mon,server=on,wait=off,path="+monitor,
		"--monitor", "chardev=mon",
		"--blockdev", "driver=file,node-name=src,filename="+image,
		"--nbd-server", "addr.type=unix,addr.path="+nbd,
		"--export", "type=nbd,id=e,node-name=src,name=src,writable=on")
	var err error
	// The monitor serves one client at a time, and listens before it is ready.
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if c, err = Dial(t.Context(), monitor); err == nil {
			t.Cleanup(func() { c.Close() })
			return c, nbd
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal(err)
	return nil, ""
}

func raw(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
}

// guestWrite fills 1 MiB at the offset, in MiB, through the export.
func guestWrite(t *testing.T, nbd string, mib int, pattern byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "qemu-io", "-f", "raw", "-c", fmt.Sprintf("write -P %d %dM 1M", pattern, mib),
		"nbd+unix:///src?socket="+nbd).CombinedOutput()
	if err != nil {
		t.Fatalf("qemu-io: %v: %s", err, out)
	}
}

func sameBytes(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Fatalf("%s and %s differ", a, b)
	}
}

func TestRealDaemonCommands(t *testing.T) {
	dir := shortDir(t)
	raw(t, filepath.Join(dir, "src.raw"), 8<<20)
	c, _ := storageDaemon(t, dir, filepath.Join(dir, "src.raw"))
	if c.Version().Major < 7 {
		t.Fatalf("version %+v", c.Version())
	}
	var nodes []struct {
		Node string `json:"node-name"`
	}
	if err := c.Execute(t.Context(), "query-named-block-nodes", nil, &nodes); err != nil {
		t.Fatal(err)
	}
	if len(nodes) != 1 || nodes[0].Node != "src" {
		t.Fatalf("nodes %+v", nodes)
	}
	var refused *Error
	if err := c.Execute(t.Context(), "no-such-command", nil, nil); !errors.As(err, &refused) {
		t.Fatalf("got %v, want an Error", err)
	}
	if refused.Command != "no-such-command" || refused.Class != "CommandNotFound" || refused.Desc == "" {
		t.Fatalf("got %+v", refused)
	}
	if err := c.Execute(t.Context(), "query-qmp-schema", nil, nil); err != nil {
		t.Fatal(err) // the longest reply there is
	}
}
