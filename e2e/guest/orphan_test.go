package guest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A test that is killed takes its guests with it. The test runs itself as a
// second process, which boots a guest and says its number.
func TestGuestDiesWithItsTest(t *testing.T) {
	Require(t)
	ctx := deadline(t, 5*time.Minute)
	if dir := os.Getenv("TIDEMARK_GUEST_ORPHAN"); dir != "" {
		im, err := Prepare(ctx)
		if err != nil {
			t.Fatal(err)
		}
		vm, err := Boot(ctx, Config{Images: im, Mode: ModeIdle, Dir: dir, QMPSocket: filepath.Join(dir, "qmp"), Drives: []Drive{{Raw: im.Root, Overlay: true}, {Raw: im.Data, Overlay: true}}})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("PID %d\n", vm.Pid())
		vm.Wait(ctx)
		return
	}
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestGuestDiesWithItsTest$")
	cmd.Env = append(os.Environ(), "TIDEMARK_GUEST_ORPHAN="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanf(out, "PID %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("QEMU does not run: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	for !gone(pid) {
		select {
		case <-ctx.Done():
			t.Fatalf("QEMU %d outlived its test", pid)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// gone tells whether the process has ended; nobody may be there to reap it.
func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}
