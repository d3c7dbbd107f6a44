package localpath

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Once is Dirs for many paths at one moment: it resolves and opens each directory once.
// What is put in the place of a directory meanwhile is not seen, and never followed.
type Once struct {
	dirs    Dirs
	in      []string          // dirs.In without links
	except  []string          // dirs.Except without links
	real    map[string]string // directories without links, by how paths name them
	folders map[string]*os.File
}

// mostFolders is how many directories a Once has open.
const mostFolders = 64

// Once begins to look at many paths. The caller closes it.
func (d Dirs) Once() *Once {
	return &Once{dirs: d, in: resolveAll(d.In), except: resolveAll(d.Except), real: map[string]string{}, folders: map[string]*os.File{}}
}

// Close closes the directories.
func (o *Once) Close() {
	for _, f := range o.folders {
		_ = f.Close() // it was only looked into
	}
	clear(o.folders)
}

// Resolve is Dirs.Resolve.
func (o *Once) Resolve(path string) (string, error) {
	dir, name := filepath.Split(filepath.Clean(path))
	if !filepath.IsAbs(path) || name == "" {
		return o.dirs.Resolve(path)
	}
	to, known := o.real[dir]
	if !known {
		var err error
		if to, err = filepath.EvalSymlinks(dir); err != nil {
			return o.dirs.Resolve(path)
		}
		o.real[dir] = to
	}
	real := filepath.Join(to, name)
	var st unix.Stat_t
	err := unix.Lstat(real, &st)
	plain := errors.Is(err, unix.ENOENT) || err == nil && st.Mode&unix.S_IFMT != unix.S_IFLNK
	if plain && deepest(o.in, real) > deepest(o.except, real) {
		return real, nil
	}
	return o.dirs.Resolve(path)
}

// Open is Open for a path that Resolve gave, of what exists.
func (o *Once) Open(path string, flag int) (*os.File, error) {
	dir := filepath.Dir(path)
	at, open := o.folders[dir]
	if !open {
		var err error
		if at, err = Folder(dir, false); err != nil {
			return nil, err
		}
		if len(o.folders) >= mostFolders {
			o.Close()
		}
		o.folders[dir] = at
	}
	fd, err := openAt(at, filepath.Base(path), flag, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}
