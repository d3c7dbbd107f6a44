package blockfile

import (
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/adapter/localpath"
	"tidemark.dev/pkg/contract/api"
)

// All names of a file have one identity, also of one that does not exist yet, and
// two files have two. Names that are links are resolved first, as those that ask do.
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
	real := func(name string) string {
		t.Helper()
		path, err := localpath.Dirs{In: []string{dir}}.Resolve(in(name))
		must(t, err)
		return path
	}
	same := func(want bool, x, y string) {
		t.Helper()
		f, g := Identify(real(x)), Identify(real(y))
		if f.ID == "" || g.ID == "" || f.Overlaps(g) != want || g.Overlaps(f) != want {
			t.Errorf("%s and %s are one: %v; want %v", x, y, f.Overlaps(g), want)
		}
	}
	for _, name := range []string{"hard", "soft", "folder/../a"} {
		same(true, "a", name)
	}
	same(false, "a", "b")
	same(true, "folder/new", "way/new")
	same(true, "folder/deep/new", "way/deep/new")
	same(false, "folder/new", "folder/newer")
	same(false, "folder/new", "new")
}

// Somebody puts a link in the place of a file, or of its folder, after its path was
// judged: nothing is said of what the link leads to.
func TestALinkThatWasPutThereTellsNothing(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.Mkdir(in("secret"), 0o700))
	must(t, os.WriteFile(in("secret/file"), make([]byte, 4096), 0o600))
	must(t, os.Symlink(in("secret"), in("folder")))
	must(t, os.Symlink(in("secret/file"), in("file")))
	for _, path := range []string{in("file"), in("folder"), in("folder/file")} {
		for _, f := range []api.DiskFacts{Identify(path), Look(path)} {
			if f.Kind != api.PathOther || f.ID != "" || f.Size != 0 || f.Problem != localpath.ErrLink.Error() {
				t.Errorf("%s: %+v", path, f)
			}
		}
	}
	if f := Identify(in("folder/none")); f.Kind == api.PathMissing {
		t.Errorf("it says that a file is missing where a link leads: %+v", f)
	}
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
