package guest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// run runs a step that mounts nothing.
func run(ctx context.Context, env []string, name string, args ...string) error {
	return runWith(ctx, &syscall.SysProcAttr{}, env, name, args...)
}

// runIsolated runs a step in a mount and a PID namespace of its own. When it
// ends, in whatever way, its processes and its mounts (a chroot's /proc and /sys)
// are gone too, and the directory they were in can be removed safely.
func runIsolated(ctx context.Context, env []string, name string, args ...string) error {
	return runWith(ctx, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS}, env, name, args...)
}

func runWith(ctx context.Context, attr *syscall.SysProcAttr, env []string, name string, args ...string) error {
	path, err := lookPath(name)
	if err != nil {
		return err
	}
	runtime.LockOSThread() // Pdeathsig is about the thread that starts the child
	defer runtime.UnlockOSThread()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "LC_ALL=C"), env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	attr.Setpgid, attr.Pdeathsig = true, syscall.SIGKILL
	cmd.SysProcAttr = attr
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, lastLines(out.String(), 20))
	}
	return nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
