package localpath

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Between the moment when Resolve judges a path and the moment when it is opened, whoever
// may write to one of its directories can put a symbolic link there. So what Resolve gives
// is opened here, directory by directory, and a link is an error wherever it is.

// ErrLink: there is a symbolic link in a path that had none.
var ErrLink = errors.New("a symbolic link was put there after the path was checked")

// Open is os.OpenFile for an absolute path that Resolve gave. It follows no link.
func Open(path string, flag int, perm fs.FileMode) (*os.File, error) {
	dir, err := Folder(filepath.Dir(path), false)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	fd, err := openAt(dir, filepath.Base(path), flag, uint32(perm.Perm()))
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// Folder opens a directory to find files in it: Under names them. It follows no link. With
// missing, directories that are missing are made, for their owner alone.
func Folder(dir string, missing bool) (*os.File, error) {
	if !filepath.IsAbs(dir) {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: errors.New("it is not an absolute path")}
	}
	const flags = unix.O_PATH | unix.O_DIRECTORY
	at, err := os.OpenFile("/", flags, 0)
	if err != nil {
		return nil, err
	}
	way := "/"
	for _, name := range strings.Split(strings.Trim(filepath.Clean(dir), "/"), "/") {
		if name == "" {
			continue
		}
		way = filepath.Join(way, name)
		fd, err := openAt(at, name, flags, 0)
		if errors.Is(err, unix.ENOENT) && missing {
			if err = unix.Mkdirat(int(at.Fd()), name, 0o700); err == nil || errors.Is(err, unix.EEXIST) {
				fd, err = openAt(at, name, flags, 0)
			}
		}
		at.Close()
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: way, Err: err}
		}
		at = os.NewFile(uintptr(fd), way)
	}
	return at, nil
}

// Under names a file in a folder that is open. Whoever renames the folder, or puts a link
// in its place, does not change what the name means.
func Under(folder *os.File, name string) string {
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(folder.Fd())), name)
}

// openAt opens what name is in dir, unless that is a link.
func openAt(dir *os.File, name string, flag int, perm uint32) (int, error) {
	for {
		fd, err := unix.Openat(int(dir.Fd()), name, flag|unix.O_NOFOLLOW|unix.O_CLOEXEC, perm)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR) && isLink(dir, name):
			return -1, ErrLink
		case err == nil && flag&unix.O_PATH != 0 && isLinkItself(fd):
			unix.Close(fd)
			return -1, ErrLink
		}
		return fd, err
	}
}

// isLink tells a link from a file where a directory was expected: the error is the same.
func isLink(dir *os.File, name string) bool {
	var st unix.Stat_t
	return unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK
}

// isLinkItself reports whether O_PATH has opened a link.
func isLinkItself(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK
}
