package localpath_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/localpath"
	"tidemark.dev/pkg/seedtest"
)

// Looking at many paths at once says of each what looking at it alone does.
func TestManyPathsAreJudgedAsEachIs(t *testing.T) {
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 1))
	top := t.TempDir()
	in := func(parts ...string) string { return filepath.Join(append([]string{top}, parts...)...) }
	names := []string{"a", "b", "c", "link", "loop", "none"}
	for _, dir := range []string{"a", "b", "c", "a/a", "a/b", "b/c"} {
		must(t, os.MkdirAll(in(dir), 0o700))
		must(t, os.WriteFile(in(dir, "file"), nil, 0o600))
		must(t, os.Symlink(in(names[rng.IntN(3)]), in(dir, "link")))
		must(t, os.Symlink("loop", in(dir, "loop")))
	}
	d := localpath.Dirs{For: "disks", In: []string{in("a"), in("b", "link"), in("none")}, Except: []string{in("a", "b"), in("a", "a", "file")}}
	o := d.Once()
	defer o.Close()
	for range 500 {
		path := top
		for range 1 + rng.IntN(4) {
			path += "/" + names[rng.IntN(len(names))]
		}
		path += []string{"", "/file", "/../file", "/new", "/link"}[rng.IntN(5)]
		alone, errAlone := d.Resolve(path)
		many, err := o.Resolve(path)
		if many != alone || fmt.Sprint(err) != fmt.Sprint(errAlone) {
			t.Fatalf("%s: %q, %v; alone %q, %v", path, many, err, alone, errAlone)
		}
		if err != nil {
			continue
		}
		f, err := o.Open(many, unix.O_PATH)
		g, errAlone := localpath.Open(many, unix.O_PATH, 0)
		if (err == nil) != (errAlone == nil) || err == nil && !same(t, f, g) {
			t.Fatalf("%s: %v; alone %v", many, err, errAlone)
		}
	}
	for _, path := range []string{"relative", "/", ""} {
		if got, err := o.Resolve(path); err == nil {
			t.Errorf("%q: %q", path, got)
		}
	}
}

// same closes two files that are open, and says whether they are one.
func same(t *testing.T, f, g *os.File) bool {
	t.Helper()
	defer f.Close()
	defer g.Close()
	a, err := f.Stat()
	must(t, err)
	b, err := g.Stat()
	must(t, err)
	return os.SameFile(a, b)
}
