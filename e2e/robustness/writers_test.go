package robustness

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tidemark.dev/e2e/proc"
)

// A capturer freezes, a second one takes over from a copy of its state on another
// machine, and the first wakes up: it is fenced, and says so. Its guest notices
// nothing, and nothing of it enters the journal. Needs root.
func TestTwoWriters(t *testing.T) {
	t.Parallel()
	needRoot(t)
	w := newWorld(t, "rollback")
	w.guests.Start()
	w.protected()
	time.Sleep(time.Second + w.some(1000))
	w.Capture.Freeze()
	before, err := w.status()
	if err != nil {
		t.Fatal(err)
	}
	w.guests.Abandon()

	there := filepath.Join(w.dir, "there")
	w.copyCapture(there)
	w.captureFrom(there)
	w.guests.Move(filepath.Join(there, "sock", "guest.sock"), filepath.Join(there, "disks", "data.img"), filepath.Join(there, "disks", "log.img"))
	w.guests.Start()
	w.eventually("the second capturer has taken over", 30*time.Second, func() error {
		s, err := w.status()
		if err == nil && (s.Epoch <= before.Epoch || !s.Consistent) {
			err = fmt.Errorf("epoch %d, before %d; consistent %v", s.Epoch, before.Epoch, s.Consistent)
		}
		return err
	})
	now, err := w.status()
	if err != nil {
		t.Fatal(err)
	}

	w.Capture.Thaw()
	took := w.eventually("the first capturer says that it is fenced", 30*time.Second, w.saysFenced)
	t.Logf("fenced %v after it woke", took.Round(10*time.Millisecond))
	if err := w.guests.Rogue(t.Context(), w.socket(), 2*time.Second); err != nil {
		t.Fatalf("a guest of the fenced capturer was given an error: %v", err)
	}
	after, err := w.status()
	if err != nil {
		t.Fatal(err)
	}
	if after.Epoch != now.Epoch || after.State != "receiving" {
		t.Errorf("the journal was in epoch %d, and is in %d: %s, %s", now.Epoch, after.Epoch, after.State, after.Reason)
	}
	w.settle()
}

// copyCapture copies capture's state, disks and window to another machine.
func (w *world) copyCapture(there string) {
	w.t.Helper()
	for _, d := range []string{"prod", "disks"} {
		if err := os.CopyFS(filepath.Join(there, d), os.DirFS(filepath.Join(w.dir, d))); err != nil {
			w.t.Fatal(err)
		}
	}
	window, err := filepath.Rel("/dev/shm", w.Window())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range []string{"sock", filepath.Join("shm", filepath.Dir(window))} {
		if err := os.MkdirAll(filepath.Join(there, d), 0o700); err != nil {
			w.t.Fatal(err)
		}
	}
	frames, err := os.ReadFile(w.Window())
	if err == nil {
		err = os.WriteFile(filepath.Join(there, "shm", window), frames, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// captureFrom starts a second capture on such a copy.
func (w *world) captureFrom(there string) {
	w.t.Helper()
	second := w.Service("capture-there", "prod", "capture")
	onMachine(second, map[string]string{
		filepath.Join(there, "prod"): w.dir + "/prod", filepath.Join(there, "disks"): w.dir + "/disks",
		filepath.Join(there, "sock"): w.dir + "/sock", filepath.Join(there, "shm"): "/dev/shm"})
	if err := second.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		proc.Kill(second)
		if w.t.Failed() {
			w.t.Logf("--- the end of the log of the second capturer\n%s", second.Tail(2500))
		}
	})
}

// saysFenced writes to the first capturer, which must not fail, until one of the
// two says that it is fenced: both answer the same question, by turns.
func (w *world) saysFenced() error {
	if err := w.guests.Rogue(w.t.Context(), w.socket(), 200*time.Millisecond); err != nil {
		w.t.Fatalf("a guest of the fenced capturer was given an error: %v", err)
	}
	for range 8 {
		c, err := w.captureStatus()
		if err != nil {
			return err
		}
		if c.State == "fenced" {
			if c.Reason == "" {
				w.t.Error("it does not say why")
			}
			w.t.Logf("it says: %s, %s", c.State, c.Reason)
			return nil
		}
	}
	return fmt.Errorf("nobody is fenced")
}
