package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A bit flips in the journal of one of two jobs while nothing runs. The other job
// goes on, and the status says what is damaged and what to do. A repair leaves what it
// cannot mend, and the other's, as they are. The way out that it names works: the
// job is deleted, its replica moved, and the job applied again; it is protected.
func TestTheWayOutOfADamagedJournal(t *testing.T) {
	dir := short(t)
	l := newLab(t, dir, "")
	file, _, replica := jobFile(t, dir)
	other := filepath.Join(dir, "other.img")
	write(t, other, "the other's first sector")
	if err := os.Truncate(other, 4<<20); err != nil {
		t.Fatal(err)
	}
	l.do(0, "apply", "-f", file)
	l.do(0, "apply", "-f", write(t, filepath.Join(dir, "other.yaml"), strings.Replace(goodJob(other, filepath.Join(dir, "other-dst.img")), "name: web", "name: other", 1)))
	for _, job := range []string{"web", "other"} {
		l.do(0, "job", "run", job)
		l.do(0, "point", "create", job, "--tag", "before")
	}
	l.do(exitConflict, "repair", "web")
	l.do(exitFailed, "verify", "--offline", dir) // the services are running
	l.stop()
	proven, _ := l.do(0, "verify", "--offline", dir)
	wants(t, proven, "web: proven", "other: proven", "signed  up to frame")
	l.do(exitNotFound, "verify", "--offline", dir, "none")
	names, err := filepath.Glob(filepath.Join(dir, "dr", "journal", "store", "web", "MANIFEST-*"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	raw, err := os.ReadFile(slices.Max(names))
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	write(t, slices.Max(names), string(raw))

	whole, _ := l.do(0, "repair", "other")
	wants(t, whole, "nothing is damaged", "recovery points")
	_, text := l.do(exitFailed, "repair", "web", "--write")
	wants(t, text, "MANIFEST", "nothing was changed", "apply it again")
	l.do(exitNotFound, "repair", "none")
	source, err := os.ReadFile(filepath.Join(dir, "prod", "capture", "signing.pub"))
	if err != nil {
		t.Fatal(err)
	}
	proven, _ = l.do(exitFailed, "verify", "--offline", dir, "--key", strings.TrimSpace(string(source)))
	wants(t, proven, "web: NOT proven", "MANIFEST", "other: proven")

	l = newLab(t, dir, "")
	wants(t, l.until("damaged", "status", "web"), "move its replica's files out of the way")
	l.until("protected", "status", "other")
	wants(t, l.until("before", "point", "list", "other"), "before")
	l.do(0, "job", "stop", "web")
	l.do(0, "delete", "job", "web", "--yes", "--force")
	l.until("other", "status")
	if err := os.Rename(replica, replica+".old"); err != nil {
		t.Fatal(err)
	}
	l.until("web", "apply", "-f", file)
	l.do(0, "job", "run", "web")
	l.do(0, "point", "create", "web", "--tag", "after")
	wants(t, l.until("protected", "status", "web"), "protected")
	out, _ := l.do(0, "point", "list", "web")
	if !strings.Contains(out, "after") || strings.Contains(out, "before") {
		t.Error(out)
	}
}
