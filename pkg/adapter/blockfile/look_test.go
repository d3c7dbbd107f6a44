package blockfile

import (
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/contract/api"
)

// All names of a file have one identity, also of one that does not exist yet, and
// two files have two.
func TestIdentityIsOfTheFileNotOfItsName(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"a", "b"} {
		must(t, os.WriteFile(in(name), []byte("same"), 0o600))
	}
	must(t, os.Link(in("a"), in("hard")))
	must(t, os.Symlink(in("a"), in("soft")))
	must(t, os.Mkdir(in("folder"), 0o700))
	must(t, os.Symlink(in("folder"), in("way")))
	must(t, os.Symlink(in("folder/new"), in("dangling")))
	same := func(want bool, x, y string) {
		t.Helper()
		f, g := Identify(in(x)), Identify(in(y))
		if f.ID == "" || g.ID == "" || f.Overlaps(g) != want || g.Overlaps(f) != want {
			t.Errorf("%s and %s are one: %v; want %v", x, y, f.Overlaps(g), want)
		}
	}
	for _, name := range []string{"hard", "soft", "folder/../a"} {
		same(true, "a", name)
	}
	same(false, "a", "b")
	same(true, "folder/new", "way/new")
	same(true, "folder/new", "dangling")
	same(true, "folder/deep/new", "way/deep/new")
	same(false, "folder/new", "folder/newer")
	same(false, "folder/new", "new")
}

// Look finds out what a disk is without changing it, and waits for no pipe.
func TestLook(t *testing.T) {
	dir := t.TempDir()
	file, holes := filepath.Join(dir, "file"), filepath.Join(dir, "holes")
	must(t, os.WriteFile(file, make([]byte, 1000), 0o600))
	must(t, os.WriteFile(holes, nil, 0o600))
	must(t, os.Truncate(holes, 1<<20))
	for path, want := range map[string]api.DiskFacts{
		file:                       {Kind: api.PathFile, Size: 1000, Holds: true},
		holes:                      {Kind: api.PathFile, Size: 1 << 20},
		dir:                        {Kind: api.PathFolder},
		"/dev/null":                {Kind: api.PathOther},
		filepath.Join(dir, "none"): {Kind: api.PathMissing},
	} {
		got := Look(path)
		if got.Kind != want.Kind || got.Size != want.Size || got.Holds != want.Holds || got.Problem != "" || got.Path != path {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if f := Look(filepath.Join(file, "below")); f.Problem == "" {
		t.Errorf("below a file: %+v", f)
	}
}
