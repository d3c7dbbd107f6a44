// Package localpath decides which files and devices of this machine others may name:
// what lies in directories that the machine's own configuration lists. Symbolic links
// are resolved first, each time that a path is used, so that none leads out; and what was judged is
// opened without following any, so that one which is put there in between leads nowhere.
// It makes nothing but directories, and removes nothing.
package localpath

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
)

// Dirs are the directories that may be used for one purpose. The zero value allows
// nothing.
type Dirs struct {
	// For is the purpose, as errors name it: sources, replicas, sockets or scripts.
	For string
	// In are the directories with all below them, or single files and devices.
	// Absolute. They may be links, and need not exist yet.
	In []string
	// Except is what must not be used although it lies in In. What is deeper decides,
	// and of two equals Except does.
	Except []string
}

// Resolve gives a path without symbolic links in it that means the same file, which
// need not exist. Invalid: it is outside.
func (d Dirs) Resolve(path string) (string, error) {
	const op = "use path"
	if !filepath.IsAbs(path) {
		return "", cdp.Errorf(cdp.Invalid, op, path, "it is not an absolute path")
	}
	real, err := resolve(path)
	if err != nil {
		return "", &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	if d.has(real) || d.hasDeviceLink(path, real) {
		return real, nil
	}
	leads := "it is"
	if real != filepath.Clean(path) {
		leads = "a symbolic link leads"
	}
	return "", cdp.Errorf(cdp.Invalid, op, path, "%s outside the directories that this site allows for %s", leads, d.For).
		WithHint("use a path in one of them, or allow its directory in the site's local configuration: allow: in up.yaml, or --allow " + d.For + "=DIR")
}

// has reports whether a path without links is allowed.
func (d Dirs) has(real string) bool {
	return deepest(resolveAll(d.In), real) > deepest(resolveAll(d.Except), real)
}

// resolveAll resolves the links of directories, as far as they lead anywhere.
func resolveAll(dirs []string) []string {
	out := make([]string, len(dirs))
	for i, dir := range dirs {
		if out[i] = dir; filepath.IsAbs(dir) {
			if r, err := resolve(dir); err == nil {
				out[i] = r
			}
		}
	}
	return out
}

// deepest is how long the longest of some directories without links is that a path lies
// in; 0: in none.
func deepest(dirs []string, real string) (n int) {
	for _, dir := range dirs {
		if dir == real || strings.HasPrefix(real, strings.TrimSuffix(dir, "/")+"/") {
			n = max(n, len(dir))
		}
	}
	return n
}

// hasDeviceLink reports whether a path is a link that udev keeps, such as those in
// /dev/disk/by-id, in a directory that is allowed. Such links lead to block devices of
// other directories, and only root can make them.
func (d Dirs) hasDeviceLink(path, real string) bool {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil || !strings.HasPrefix(dir, "/dev/") || !strings.HasPrefix(real, "/dev/") {
		return false
	}
	var at, to unix.Stat_t
	if unix.Stat(dir, &at) != nil || at.Uid != 0 || at.Mode&0o022 != 0 || unix.Lstat(real, &to) != nil {
		return false
	}
	return to.Mode&unix.S_IFMT == unix.S_IFBLK && d.has(filepath.Join(dir, filepath.Base(path)))
}

var errNowhere = errors.New("a symbolic link in it leads to nothing")

// resolve resolves the links of a path whose end need not exist.
func resolve(path string) (string, error) {
	rest := ""
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", cause(err)
		}
		if _, err := os.Lstat(dir); err == nil { // what it leads to would be made elsewhere
			return "", errNowhere
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}

// cause is what the system said, without the path.
func cause(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
