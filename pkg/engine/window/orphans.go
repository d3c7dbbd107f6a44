package window

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/durable"
)

// ownerFile names, in a directory of windows, the directory of the installation
// that they belong to.
const ownerFile = "installation"

// Claim notes that the windows in dir belong to the installation whose directory is
// owner, so that RemoveOrphans can tell when that is gone. It makes dir.
func Claim(dir, owner string) error {
	if err := OwnDir(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, ownerFile)
	if b, err := os.ReadFile(path); err == nil && string(b) == owner {
		return nil
	}
	if err := durable.WriteFile(path, []byte(owner)); err != nil {
		return &cdp.Error{Op: "claim windows", Kind: cdp.Transient, Subject: path, Cause: err}
	}
	return nil
}

// RemoveOrphans removes the directories below root whose windows belong to an
// installation whose directory is gone, and names them. It leaves what is not
// claimed, what another user owns, and every directory with a window that a process
// has open. An installation that comes back loses the frames that it had not sent:
// their regions are sent again.
func RemoveOrphans(root string) (removed []string, err error) {
	dirs, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, d := range dirs {
		dir := filepath.Join(root, d.Name())
		if d.IsDir() && orphaned(dir) && removeWindows(dir) {
			removed = append(removed, dir)
		}
	}
	return removed, err
}

// orphaned reports whether the installation that a directory belongs to is gone.
func orphaned(dir string) bool {
	var st unix.Stat_t
	if unix.Lstat(dir, &st) != nil || int(st.Uid) != os.Geteuid() {
		return false
	}
	owner, err := os.ReadFile(filepath.Join(dir, ownerFile))
	if err != nil || !filepath.IsAbs(string(owner)) {
		return false
	}
	_, err = os.Lstat(string(owner))
	return errors.Is(err, fs.ErrNotExist)
}

// removeWindows removes a directory of windows, unless one of them is open.
func removeWindows(dir string) bool {
	files, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, f := range files {
		if f.Name() != ownerFile && !strings.HasSuffix(f.Name(), ".window") {
			return false // nobody knows what that is
		}
	}
	for _, f := range files {
		if f.Name() != ownerFile && !removeClosed(filepath.Join(dir, f.Name())) {
			return false
		}
	}
	return os.Remove(filepath.Join(dir, ownerFile)) == nil && os.Remove(dir) == nil
}

// removeClosed removes a window that no process has open.
func removeClosed(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil && os.Remove(path) == nil
}
