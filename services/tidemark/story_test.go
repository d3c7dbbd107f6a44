package main

import (
	"bytes"
	"net/url"
	"os"
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/nbd"
)

// TestStory follows a job from its file to a committed failover, through the
// command line only.
func TestStory(t *testing.T) {
	dir := short(t)
	l := newLab(t, dir, "")
	file, src, dst := jobFile(t, dir)
	l.do(0, "apply", "-f", file)
	l.do(0, "job", "run", "web")
	l.do(0, "job", "run", "web")
	l.until("protected", "status")
	guest := l.field("write to", "status", "web")
	poke(t, guest, 0, 'A')
	out, _ := l.do(0, "point", "create", "web", "--tag", "one", "--pin")
	one, _, _ := strings.Cut(out, " ")
	poke(t, guest, 0, 'B')
	l.do(0, "point", "create", "web", "--tag", "two")
	if out, _ := l.do(0, "point", "list", "web"); !strings.Contains(out, "requested, pinned") || !strings.Contains(out, "two") {
		t.Error(out)
	}
	l.do(0, "point", "tag", "web", one, "first", "best")
	l.do(0, "point", "unpin", "web", one)
	if out, _ := l.do(0, "point", "list", "web", "-o", "json"); !strings.Contains(out, `"best"`) {
		t.Error(out)
	}

	// A test at an older point changes nothing.
	l.do(exitNotFound, "failover", "web", "--mode", "test", "--point", "p99999")
	l.do(0, "failover", "web", "--mode", "test", "--point", "first")
	view := l.field("disk", "failover", "status", "web")
	expect(t, view, 0, 'A')
	poke(t, view, 0, 'T')
	if _, errs := l.do(exitConflict, "failover", "web", "--mode", "production"); !strings.Contains(errs, "cleanup web") {
		t.Error(errs)
	}
	l.do(exitConflict, "failover", "commit", "web")
	l.do(0, "failover", "cleanup", "web")
	l.do(0, "failover", "cleanup", "web")
	if out, _ := l.do(0, "export", "list", "web"); !strings.Contains(out, "none") {
		t.Error("the clean-up left something:", out)
	}

	// Production, undone: replication goes on.
	l.do(0, "failover", "web", "--mode", "production")
	if out, _ := l.do(0, "status"); !strings.Contains(out, "failed over") || strings.Contains(out, "protected") {
		t.Error(out)
	}
	poke(t, l.field("disk", "failover", "status", "web"), 0, 'U')
	l.do(0, "failover", "undo", "web")
	poke(t, guest, 0, 'C')
	l.do(0, "point", "create", "web", "--tag", "three")
	l.until("protected", "status")

	// An export of a point.
	if out, _ := l.do(0, "export", "web", "--point", "two", "--detach"); !strings.Contains(out, "nbd") {
		t.Error(out)
	} else {
		id := strings.Fields(out)[1]
		uri := out[strings.Index(out, "nbd"):]
		expect(t, strings.Fields(uri)[0], 0, 'B')
		l.do(0, "export", "close", "web", id)
		l.do(exitNotFound, "export", "close", "web", id)
	}

	// Planned, used, committed: the replica is the disk.
	out, _ = l.do(0, "failover", "web", "--mode", "production", "--planned")
	if !strings.Contains(out, "no write is lost") {
		t.Error(out)
	}
	view = l.field("disk", "failover", "status", "web")
	expect(t, view, 0, 'C')
	poke(t, view, 1<<20, 'V')
	l.do(0, "failover", "commit", "web")
	image, err := os.ReadFile(dst)
	if err != nil || image[0] != 'C' || image[1<<20] != 'V' {
		t.Error("the replica is not the disk", err)
	}
	if image, err := os.ReadFile(src); err != nil || image[1<<20] == 'V' {
		t.Error("the source was written", err)
	}
	l.do(exitConflict, "failover", "undo", "web")
	l.do(exitConflict, "failover", "web", "--mode", "test")
	l.do(exitConflict, "delete", "job", "web") // it runs
	l.do(0, "job", "stop", "web")
	l.do(exitConflict, "delete", "job", "web") // it has points
	l.do(0, "delete", "job", "web", "--yes")
	if out, _ := l.do(0, "events", "*.*.web"); !strings.Contains(out, "failover.finished") || !strings.Contains(out, "job.deleted") {
		t.Error(out)
	}
	if out, _ := l.do(0, "top", "--times", "1"); !strings.Contains(out, "No jobs") {
		t.Error(out)
	}
}

// TestSourceDead: with nothing running at the source every recovery command
// works, and nothing says "protected".
func TestSourceDead(t *testing.T) {
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
	if !strings.Contains(out, "lost") || !strings.Contains(out, dst) {
		t.Error(out)
	}
	l.do(0, "failover", "commit", "web")
	if image, err := os.ReadFile(dst); err != nil || image[0] != 'A' {
		t.Error(err)
	}
}

// field is the last word of the first line that begins with name.
func (l *lab) field(name string, args ...string) string {
	l.t.Helper()
	out, _ := l.do(0, args...)
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, name+" ") {
			f := strings.Fields(line)
			return f[len(f)-1]
		}
	}
	l.t.Fatalf("no %q in:\n%s", name, out)
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
