package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// slips is the job web, as goodJob has it, beside files that another job cannot use.
type slips struct {
	*testing.T
	dir string
}

func (s slips) path(name string) string { return filepath.Join(s.dir, name) }

// file makes a sparse file.
func (s slips) file(name string, size int64) string {
	s.Helper()
	if err := os.WriteFile(s.path(name), nil, 0o600); err != nil {
		s.Fatal(err)
	}
	if err := os.Truncate(s.path(name), size); err != nil {
		s.Fatal(err)
	}
	return s.path(name)
}

// await waits until a file exists.
func (s slips) await(path string) {
	s.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		_, err := os.Stat(path)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			s.Fatal(err)
		}
	}
}

// names gives a file another name.
func (s slips) names(of string, make func(string, string) error, name string) string {
	s.Helper()
	if err := make(of, s.path(name)); err != nil {
		s.Fatal(err)
	}
	return s.path(name)
}

// A job that would destroy or mix up data, or could never work, is refused by apply,
// which names the field, and every file stays as it is.
func TestSlipsAreRefusedByApply(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := short(t)
	l := newLab(t, dir, "")
	web, source, replica := jobFile(t, dir)
	l.do(0, "apply", "-f", web)
	s := slips{t, dir}
	const size = 4 << 20
	good, to := s.file("good.img", size), s.path("to.img")
	write(t, s.path("data.img"), strings.Repeat("d", size))
	if err := os.Mkdir(s.path("sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.await(replica) // the journal makes it
	const from, into, listen = "/spec/source/disks/0/path", "/spec/target/disks/0/path", "/spec/source/listen"
	outside := outsideOf(t, size)
	before := contents(t, outside, source, replica, s.path("data.img"), good)
	for name, c := range map[string]struct {
		source, replica, listen string
		code                    int
		field, word             string
	}{
		"no source":                 {s.path("none.img"), to, "", exitUsage, from, "nothing"},
		"source is a directory":     {dir, to, "", exitUsage, from, "directory"},
		"source is /dev/null":       {"/dev/null", to, "", exitUsage, from, "neither a file nor a block device"},
		"source is empty":           {s.file("empty.img", 0), to, "", exitUsage, from, "0 bytes"},
		"source is no multiple":     {s.file("odd.img", 1000), to, "", exitUsage, from, "multiple of 512"},
		"replica is too small":      {good, s.file("small.img", 512), "", exitUsage, into, "512 bytes"},
		"replica is a directory":    {good, dir, "", exitUsage, into, "directory"},
		"replica holds data":        {good, s.path("data.img"), "", exitConflict, into, "holds data"},
		"replica is the source":     {good, s.names(good, os.Link, "good.link"), "", exitConflict, into, "source of disk 0"},
		"replica of web":            {good, replica, "", exitConflict, into, "replica of the job web"},
		"replica of web, symlink":   {good, s.names(replica, os.Symlink, "sym.img"), "", exitConflict, into, "replica of the job web"},
		"replica of web, hard link": {good, s.names(replica, os.Link, "hard.img"), "", exitConflict, into, "replica of the job web"},
		"replica of web, dots":      {good, dir + "/sub/../dst.img", "", exitUsage, into, "without . and .."},
		"replica is web's source":   {good, s.names(source, os.Symlink, "sym2.img"), "", exitConflict, into, "source of the job web"},
		"source of web, symlink":    {s.path("sym2.img"), to, "", exitConflict, from, "source of the job web"},
		"source is web's replica":   {s.path("hard.img"), to, "", exitConflict, from, "replica of the job web"},
		"listen is the replica":     {good, to, to, exitConflict, listen, "replica of disk 0"},
		"listen is a file":          {good, to, s.path("data.img"), exitConflict, listen, "not a socket"},
		"listen is the disk":        {good, to, good, exitConflict, listen, "not a socket"},
		"listen is a directory":     {good, to, dir, exitConflict, listen, "not a socket"},
		"source is outside":         {outside, to, "", exitUsage, from, "outside the directories that this site allows for sources"},
		"source is Tidemark's":      {s.path("dr/credentials.json"), to, "", exitUsage, from, "outside the directories"},
		"source links outside":      {s.names(outside, os.Symlink, "out.img"), to, "", exitUsage, from, "symbolic link leads outside"},
		"source links to nothing":   {s.names(outside+".none", os.Symlink, "none.link"), to, "", exitUsage, from, "leads to nothing"},
		"replica is outside":        {good, outside + ".new", "", exitUsage, into, "for replicas"},
		"replica links outside":     {good, s.names(filepath.Dir(outside), os.Symlink, "way") + "/new", "", exitUsage, into, "symbolic link leads outside"},
		"replica is Tidemark's":     {good, s.path("prod/new.img"), "", exitUsage, into, "for replicas"},
		"listen is without TLS":     {good, to, "127.0.0.1:10809", exitUsage, listen, "has no certificate"},
		"listen is outside":         {good, to, outside + ".sock", exitUsage, listen, "for sockets"},
	} {
		text := strings.Replace(goodJob(c.source, c.replica), "name: web", "name: shop", 1)
		if c.listen != "" {
			text = strings.Replace(text, "capture: inline", "capture: inline\n    listen: "+c.listen, 1)
		}
		_, errs := l.do(c.code, "apply", "-f", write(t, s.path("slip.yaml"), text))
		if !strings.Contains(errs, c.field+": ") || !strings.Contains(errs, c.word) {
			t.Errorf("%s: %q and %q are not in:\n%s", name, c.field, c.word, errs)
		}
	}
	// A job that is stopped keeps its disks, too.
	for field, text := range map[string]string{from: goodJob(good, replica), into: goodJob(source, to)} {
		if _, errs := l.do(exitConflict, "apply", "-f", write(t, s.path("slip.yaml"), text)); !strings.Contains(errs, field+": ") {
			t.Errorf("%q is not in:\n%s", field, errs)
		}
	}
	if out, _ := l.do(0, "get", "job"); strings.Contains(out, "shop") {
		t.Error("something was applied:\n" + out)
	}
	for path, was := range before {
		if now := contents(t, path)[path]; !bytes.Equal(now, was) {
			t.Errorf("%s was changed", path)
		}
	}
	s.lockedIsTold(l, good, to)
}

// outsideOf makes a disk in a directory that the lab does not allow.
func outsideOf(t *testing.T, size int64) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "tm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return (slips{t, dir}).file("disk.img", size)
}

// lockedIsTold checks that a disk which somebody else has locked is not captured, and
// that status says why.
func (s slips) lockedIsTold(l *lab, source, replica string) {
	s.Helper()
	f, err := os.Open(source)
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		s.Fatal(err)
	}
	l.do(0, "apply", "-f", write(s.T, s.path("shop.yaml"), strings.Replace(goodJob(source, replica), "name: web", "name: shop", 1)))
	l.do(0, "job", "run", "shop", "--no-wait")
	out := l.until("another process uses it", "status")
	wants(s.T, out, source)
}

func contents(t *testing.T, paths ...string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		out[p] = data
	}
	return out
}
