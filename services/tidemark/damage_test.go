package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A bit flips in the journal of one of two jobs while nothing runs. The other job
// goes on, and the status says what is damaged and what to do. A repair leaves what it
// cannot mend, and the other's, as they are. The way out that it names works: the
// job is deleted, its replica moved, and the job applied again; it is protected. So is a
// third, whose history is given up: its replica becomes what its source is.
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
	anew := damagedAnew(t, l, dir)
	for _, job := range []string{"web", "other", "anew"} {
		l.do(0, "job", "run", job)
		l.do(0, "point", "create", job, "--tag", "before")
	}
	asked, _ := l.do(0, "audit", "web")
	wants(t, asked, whoami(), "/dr/operator", "scheduler.job-apply", "scheduler.job-run", "done")
	l.do(exitConflict, "repair", "web")
	l.do(exitFailed, "verify", "--offline", dir) // the services are running
	l.stop()
	proven, _ := l.do(0, "verify", "--offline", dir)
	wants(t, proven, "web: proven", "other: proven", "signed  up to frame")
	l.do(exitNotFound, "verify", "--offline", dir, "none")
	flipManifest(t, dir, "web")
	flipManifest(t, dir, "anew")

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
	anew.repair()

	l = newLab(t, dir, "")
	wants(t, l.until("damaged", "status", "web"), "move its replica's files out of the way")
	l.until("protected", "status", "other")
	anew.follows(l)
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

// flipManifest damages the journal of a job so that it does not open: the list of its
// tables, and the copy of that.
func flipManifest(t *testing.T, dir, job string) {
	t.Helper()
	store := filepath.Join(dir, "dr", "journal", "store", job)
	names, err := filepath.Glob(filepath.Join(store, "MANIFEST-*"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range []string{slices.Max(names), filepath.Join(store, "manifest-copy")} {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)/2] ^= 1
		write(t, name, string(raw))
	}
}

// anewJob is a job whose history is given up.
type anewJob struct {
	t               *testing.T
	l               *lab
	source, replica string
}

func damagedAnew(t *testing.T, l *lab, dir string) anewJob {
	t.Helper()
	j := anewJob{t, l, filepath.Join(dir, "anew.img"), filepath.Join(dir, "anew-dst.img")}
	write(t, j.source, strings.Repeat("what the disk holds ", 200_000))
	if err := os.Truncate(j.source, 4<<20); err != nil {
		t.Fatal(err)
	}
	l.do(0, "apply", "-f", write(t, filepath.Join(dir, "anew.yaml"), strings.Replace(goodJob(j.source, j.replica), "name: web", "name: anew", 1)))
	return j
}

// repair gives the history up. The replica is not what the journal had left there.
func (j anewJob) repair() {
	j.t.Helper()
	f, err := os.OpenFile(j.replica, os.O_WRONLY, 0)
	if err != nil {
		j.t.Fatal(err)
	}
	_, err = f.WriteAt([]byte("stale"), 1<<20)
	if err := errors.Join(err, f.Close()); err != nil {
		j.t.Fatal(err)
	}
	_, text := j.l.do(exitFailed, "repair", "anew", "--write")
	wants(j.t, text, "MANIFEST", "repair anew --anew")
	out, _ := j.l.do(0, "repair", "anew", "--anew")
	wants(j.t, out, "nothing was changed", "--anew")
	out, _ = j.l.do(0, "repair", "anew", "--anew", "--write")
	wants(j.t, out, "MANIFEST", "lost", "begins anew", "damaged-1")
}

// follows waits until the job is protected again, with the replica as its source.
func (j anewJob) follows(l *lab) {
	j.t.Helper()
	l.until("protected", "status", "anew")
	l.until("after", "point", "create", "anew", "--tag", "after", "-o", "json")
	if out, _ := l.do(0, "point", "list", "anew"); strings.Contains(out, "before") {
		j.t.Error(out)
	}
	want, err := os.ReadFile(j.source)
	if err != nil {
		j.t.Fatal(err)
	}
	for end := time.Now().Add(90 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got, err := os.ReadFile(j.replica)
		if err != nil {
			j.t.Fatal(err)
		}
		if bytes.Equal(got, want) {
			return
		}
		if time.Now().After(end) {
			j.t.Fatal("the replica is not what the source is")
		}
	}
}
