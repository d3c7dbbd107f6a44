package localpath_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/localpath"
)

// Whoever may write to an allowed directory waits until a path was judged, and then puts a
// link in the place of a file, or of a directory above it.
func TestALinkPutThereAfterTheCheckLeadsNowhere(t *testing.T) {
	for what, swap := range map[string]string{"the file": "disks/sub/file", "its directory": "disks/sub", "a directory above": "disks/sub/.."} {
		t.Run(what, func(t *testing.T) {
			top := t.TempDir()
			in := func(name string) string { return filepath.Join(top, name) }
			for _, dir := range []string{"disks/sub", "secret/sub"} {
				must(t, os.MkdirAll(in(dir), 0o700))
				must(t, os.WriteFile(in(dir+"/file"), []byte(dir), 0o600))
			}
			real, err := localpath.Dirs{For: "sources", In: []string{in("disks")}}.Resolve(in("disks/sub/file"))
			must(t, err)
			f, err := localpath.Open(real, os.O_RDWR, 0)
			must(t, err)
			f.Close()
			stays, err := localpath.Folder(filepath.Dir(real), false)
			must(t, err)
			defer stays.Close()

			victim := filepath.Clean(in(swap))
			must(t, os.Rename(victim, victim+".away"))
			must(t, os.Symlink(in(strings.Replace(filepath.Clean(swap), "disks", "secret", 1)), victim))
			if text, err := os.ReadFile(real); err != nil || string(text) != "secret/sub" {
				t.Fatalf("the attack does not work: %q, %v", text, err)
			}
			for flag, name := range map[int]string{os.O_RDONLY: "file", os.O_RDWR: "file", unix.O_PATH: "file", os.O_WRONLY | os.O_CREATE: "file"} {
				if f, err := localpath.Open(filepath.Join(filepath.Dir(real), name), flag, 0o600); !errors.Is(err, localpath.ErrLink) {
					t.Errorf("flags %#x: %v, %v", flag, f, err)
				}
			}
			if what != "the file" {
				if f, err := localpath.Folder(filepath.Join(filepath.Dir(real), "new"), true); !errors.Is(err, localpath.ErrLink) {
					t.Error(f, err)
				}
				if f, err := localpath.Open(filepath.Join(filepath.Dir(real), "new"), os.O_WRONLY|os.O_CREATE, 0o600); !errors.Is(err, localpath.ErrLink) {
					t.Error(f, err)
				}
				// A folder that was open before means what it did.
				if text, err := os.ReadFile(localpath.Under(stays, "file")); err != nil || string(text) != "disks/sub" {
					t.Errorf("%q, %v", text, err)
				}
			}
			if entries, err := os.ReadDir(in("secret/sub")); err != nil || len(entries) != 1 {
				t.Error("something was made outside:", entries, err)
			}
		})
	}
}

func TestFoldersThatAreMissingAreMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if f, err := localpath.Folder(dir, false); !errors.Is(err, os.ErrNotExist) {
		t.Error(f, err)
	}
	for range 2 {
		f, err := localpath.Folder(dir, true)
		must(t, err)
		f.Close()
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Error(st, err)
	}
	if f, err := localpath.Open("disk", os.O_RDONLY, 0); err == nil {
		t.Error("a relative path is opened:", f.Name())
	}
}
