package main

import (
	"bytes"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/nbd"
)

// story is a protected job, web, and the command line: TestStory's steps, each of
// which begins where the one before ended.
type story struct {
	*lab
	src, dst string // images of the disk and of its replica
	guest    string // where the guest writes
}

// TestStory follows a job from its file to a committed failover, through the
// command line only.
func TestStory(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	s := &story{lab: newLab(t, dir, "")}
	overheard := s.overhear(t)
	var file string
	file, s.src, s.dst = jobFile(t, dir)
	s.do(0, "apply", "-f", file)
	s.do(0, "job", "run", "web")
	s.do(0, "job", "run", "web")
	s.until("protected", "status")
	s.guest = s.field("write to", "status", "web")
	s.makePoints()
	s.testAtAnOlderPoint()
	s.recoverAndUndo()
	s.exportAPoint()
	s.recoverAndCommit()
	s.deleteJob()
	overheard("capture.status", "capture.marks", "capture.disks", "journal.status", "journal.points", "journal.open", "journal.move-base", "failover.start", "scheduler.job-apply", "scheduler.job-delete", "setup.frames-ensure")
}

// makePoints makes the points first (also one and best) and two, where the disk is
// A and B.
func (s *story) makePoints() {
	poke(s.t, s.guest, 0, 'A')
	out, _ := s.do(0, "point", "create", "web", "--tag", "one", "--pin")
	one, _, _ := strings.Cut(out, " ")
	poke(s.t, s.guest, 0, 'B')
	s.do(0, "point", "create", "web", "--tag", "two")
	if out, _ := s.do(0, "point", "list", "web"); !strings.Contains(out, "requested, pinned") || !strings.Contains(out, "two") {
		s.t.Error(out)
	}
	s.do(0, "point", "tag", "web", one, "first", "best")
	s.do(0, "point", "unpin", "web", one)
	if out, _ := s.do(0, "point", "list", "web", "-o", "json"); !strings.Contains(out, `"best"`) {
		s.t.Error(out)
	}
}

// testAtAnOlderPoint: a test failover changes nothing, and leaves nothing.
func (s *story) testAtAnOlderPoint() {
	s.do(exitNotFound, "failover", "web", "--mode", "test", "--point", "p99999")
	s.do(0, "failover", "web", "--mode", "test", "--point", "first")
	view := s.field("disk", "failover", "status", "web")
	expect(s.t, view, 0, 'A')
	poke(s.t, view, 0, 'T')
	s.sparse(view)
	if _, errs := s.do(exitConflict, "failover", "web", "--mode", "test"); !strings.Contains(errs, "cleanup web") {
		s.t.Error(errs)
	}
	s.do(exitConflict, "failover", "commit", "web")
	s.do(exitUsage, "failover", "cleanup", "web", "--note", "well?")
	s.do(0, "failover", "cleanup", "web", "--verdict", "passed", "--note", "it boots")
	out, _ := s.do(0, "point", "list", "web", "-o", "json")
	wants(s.t, out, `"verdict": "passed"`, `"note": "it boots"`)
	s.do(0, "failover", "cleanup", "web")
	if out, _ := s.do(0, "export", "list", "web"); !strings.Contains(out, "none") {
		s.t.Error("the clean-up left something:", out)
	}
}

// sparse: a client is told that the disk holds nothing from its second MiB on.
func (s *story) sparse(uri string) {
	s.t.Helper()
	out, err := exec.Command("nbdinfo", "--map", uri).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if last := strings.Fields(lines[len(lines)-1]); err != nil || len(last) < 4 || last[0] != "1048576" || last[3] != "hole,zero" {
		s.t.Errorf("nbdinfo --map (%v):\n%s", err, out)
	}
}

// recoverAndUndo: after a production failover is undone, replication goes on.
func (s *story) recoverAndUndo() {
	s.do(0, "failover", "web", "--mode", "production")
	if out, _ := s.do(0, "status"); !strings.Contains(out, "failed over") || strings.Contains(out, "protected") {
		s.t.Error(out)
	}
	poke(s.t, s.field("disk", "failover", "status", "web"), 0, 'U')
	if out, _ := s.do(0, "failover", "status", "web"); !strings.Contains(out, "KiB in 1 writes; an undo discards it") {
		s.t.Error(out)
	}
	_, errs := s.do(exitConflict, "failover", "undo", "web")
	wants(s.t, errs, "would discard", ": 1 writes, to 4.0 KiB", "--yes")
	s.do(0, "failover", "undo", "web", "--yes")
	if out, _ := s.do(0, "failover", "status", "web"); !strings.Contains(out, "KiB that was written to them is discarded") {
		s.t.Error(out)
	}
	poke(s.t, s.guest, 0, 'C')
	s.do(0, "point", "create", "web", "--tag", "three")
	s.until("protected", "status")
}

func (s *story) exportAPoint() {
	out, _ := s.do(0, "export", "web", "--point", "two", "--detach")
	if !strings.Contains(out, "nbd") {
		s.t.Error(out)
		return
	}
	id := strings.Fields(out)[1]
	uri := out[strings.Index(out, "nbd"):]
	uri = strings.Fields(uri)[0]
	expect(s.t, uri, 0, 'B')
	s.sparse(uri)
	s.do(0, "export", "close", "web", id)
	s.do(exitNotFound, "export", "close", "web", id)
}

// recoverAndCommit: planned, used, committed: the replica is the disk.
func (s *story) recoverAndCommit() {
	out, _ := s.do(0, "failover", "web", "--mode", "production", "--planned")
	if !strings.Contains(out, "no write is lost") {
		s.t.Error(out)
	}
	view := s.field("disk", "failover", "status", "web")
	expect(s.t, view, 0, 'C')
	poke(s.t, view, 1<<20, 'V')
	s.do(0, "failover", "commit", "web")
	image, err := os.ReadFile(s.dst)
	if err != nil || image[0] != 'C' || image[1<<20] != 'V' {
		s.t.Error("the replica is not the disk", err)
	}
	if image, err := os.ReadFile(s.src); err != nil || image[1<<20] == 'V' {
		s.t.Error("the source was written", err)
	}
	s.do(exitConflict, "failover", "undo", "web")
	s.do(exitConflict, "failover", "web", "--mode", "test")
}

func (s *story) deleteJob() {
	s.do(exitConflict, "delete", "job", "web") // it runs
	s.do(0, "job", "stop", "web")
	s.do(exitConflict, "delete", "job", "web") // it has points
	s.do(0, "delete", "job", "web", "--yes")
	if out, _ := s.do(0, "events", "*.*.web"); !strings.Contains(out, "failover.finished") || !strings.Contains(out, "job.deleted") {
		s.t.Error(out)
	}
	if out, _ := s.do(0, "top", "--times", "1"); !strings.Contains(out, "No jobs") {
		s.t.Error(out)
	}
}

// TestSourceDead: with nothing running at the source every recovery command
// works, and nothing says "protected".
func TestSourceDead(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	l := newLab(t, dir, "")
	file, _, dst := jobFile(t, dir)
	l.do(0, "apply", "-f", file)
	l.do(0, "job", "run", "web")
	l.until("protected", "status")
	poke(t, l.field("write to", "status", "web"), 0, 'A')
	l.do(0, "point", "create", "web", "--tag", "one")
	l.stop()

	l = newLab(t, dir, ", services: []")
	l.until("one", "point", "list", "web")
	l.until("does not answer", "status")
	l.until("RPO breached", "status")
	if _, errs := l.do(exitConflict, "failover", "web", "--mode", "production", "--planned"); !strings.Contains(errs, "without --planned") {
		t.Error(errs)
	}
	l.do(0, "failover", "web", "--mode", "test")
	l.do(0, "failover", "cleanup", "web")
	out, _ := l.do(0, "failover", "web", "--mode", "production", "--to", "files", "--point", "one")
	if !strings.Contains(out, "lost") || !strings.Contains(out, dst+"  (locked until the commit)") {
		t.Error(out)
	}
	// The file is QEMU's only once nothing can be undone any more.
	if out, err := exec.Command("qemu-io", "-f", "raw", "-c", "write -P 9 1M 512", dst).CombinedOutput(); err == nil || !strings.Contains(string(out), "lock") {
		t.Errorf("QEMU may use the replica before the commit: %v %s", err, out)
	}
	l.do(0, "failover", "commit", "web")
	if out, err := exec.Command("qemu-io", "-f", "raw", "-c", "write -P 9 1M 512", dst).CombinedOutput(); err != nil {
		t.Errorf("QEMU may not use the replica after the commit: %v %s", err, out)
	}
	if image, err := os.ReadFile(dst); err != nil || image[0] != 'A' {
		t.Error(err)
	}
}

// field is the last word of the first line that begins with name.
func (l *lab) field(name string, args ...string) string {
	l.t.Helper()
	// A site that is slow to answer is left out of what is printed.
	for line := range strings.Lines(l.until("\n"+name+" ", args...)) {
		if strings.HasPrefix(line, name+" ") {
			f := strings.Fields(line)
			return f[len(f)-1]
		}
	}
	return ""
}

func dial(t *testing.T, uri string) *nbd.Client {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	network, address := "tcp", u.Host
	if u.Scheme == "nbd+unix" {
		network, address = "unix", u.Query().Get("socket")
	}
	c, err := nbd.Dial(t.Context(), network, address, strings.TrimPrefix(u.Path, "/"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// poke writes a block of b.
func poke(t *testing.T, uri string, off int64, b byte) {
	t.Helper()
	c := dial(t, uri)
	defer c.Close()
	if _, err := c.WriteFUA(bytes.Repeat([]byte{b}, 4096), off); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, uri string, off int64, b byte) {
	t.Helper()
	c := dial(t, uri)
	defer c.Close()
	p := make([]byte, 4096)
	if _, err := c.ReadAt(p, off); err != nil || p[0] != b || p[4095] != b {
		t.Fatalf("read %q, want %q: %v", p[0], b, err)
	}
}
