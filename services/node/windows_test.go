package node

import (
	"os"
	"path/filepath"
	"testing"
)

// Another user who makes the directory of windows first does not get hold of any.
func TestAnotherUsersDirectoryHoldsNoWindows(t *testing.T) {
	memory := t.TempDir()
	e := &env{site: "prod", dir: t.TempDir()}
	ours, err := e.windows(memory)
	if err != nil || filepath.Dir(ours) != filepath.Join(memory, "tidemark") {
		t.Fatal(ours, err)
	}
	for name, spoil := range map[string]func(string) error{
		"another's":  func(top string) error { return os.Chown(top, 4711, 4711) },
		"everybodys": func(top string) error { return os.Chmod(top, 0o777) },
		"a link":     func(top string) error { os.Remove(top); return os.Symlink(t.TempDir(), top) },
		"a file":     func(top string) error { os.Remove(top); return os.WriteFile(top, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			memory := t.TempDir()
			top := filepath.Join(memory, "tidemark")
			if err := os.Mkdir(top, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := spoil(top); err != nil {
				t.Fatal(err)
			}
			e := &env{site: "prod", dir: t.TempDir()}
			if dir, err := e.windows(memory); err == nil || dir != e.path("capture") {
				t.Error(dir, err)
			}
			if made, _ := os.ReadDir(top); len(made) > 0 {
				t.Error("something was made there:", made)
			}
		})
	}
}
