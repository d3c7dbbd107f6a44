package journal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// smallDisk mounts a file system of some bytes until the test ends.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts a file system: run it as root")
	}
	at := t.TempDir()
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
	return at
}

// fill takes the disk of a directory to the last byte.
func fill(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for n := 1 << 20; n >= 512; n /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, n))
		}
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	return path
}

// The journals' disk is full to the last byte while writes come. The journal says so
// and takes nothing in; a failover runs on what only it may use; and once there is
// room everything goes on, with every write.
func TestAFullDiskPausesTheJournalAndNotAFailover(t *testing.T) {
	at := smallDisk(t, "96m")
	s := &site{t: t, dir: at, replicas: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.Rollback)
	defer s.shut()
	w := newTraffic(s, 11)
	w.mustSend(40)
	status := func() api.GroupStatus {
		return must[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"}).Groups[0]
	}
	reserve := filepath.Join(at, "db", "reserve")
	held := func() bool { _, err := os.Stat(reserve); return err == nil }
	s.until("the reserve", held)
	p := *status().Newest

	ballast := fill(t, at)
	if err := w.send(40); err != nil {
		t.Fatal(err)
	}
	s.until("the journal to say that it is full", func() bool { return status().State == event.JournalFull })
	s.until("an alarm", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(strings.Join(s.alarms, "\n"), AlarmFull+": ")
	})
	if !held() {
		t.Fatal("the reserve was used without a failover")
	}

	run := api.RunRequest{Group: "g", Run: "r1"}
	s.until("the halt", func() bool { _, err := call[cdp.Bounds](s, api.JournalHalt, run); return err == nil })
	var e api.Export
	s.until("the failover's disks", func() (ok bool) {
		var err error
		e, err = call[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "r1", Seq: p.Seq, Scratch: true, Purpose: "production"})
		return err == nil
	})
	s.checkExport(w.m, p.Seq, e)
	scribble(t, e)
	checkScribble(t, e)
	if held() {
		t.Error("the reserve is still there")
	}
	must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "r1"})
	s.until("the undo", func() bool { _, err := call[cdp.Bounds](s, api.JournalResume, run); return err == nil })

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s.until("every write", func() bool { return s.head() == cdp.Seq(len(w.m.Writes)) })
	s.until("the state to be right again", func() bool { st := status(); return st.State == event.JournalReceiving && st.Stuck == nil })
	s.until("the reserve, again", held)
	for _, seq := range []cdp.Seq{p.Seq, s.head()} {
		e := must[api.Export](s, api.JournalOpen, api.OpenRequest{Group: "g", ID: "x", Seq: seq, Purpose: api.ForExport})
		s.checkExport(w.m, seq, e)
		must[api.Empty](s, api.JournalClose, api.CloseRequest{Group: "g", ID: "x"})
	}
}
