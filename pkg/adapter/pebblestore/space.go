package pebblestore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/cdp"
)

// Space is the file system that the stores are on, with a reserve: a file that holds
// room which nobody else can take, for when a failover needs it. It is safe for
// concurrent use.
type Space struct {
	dir  string
	size int64 // of the reserve

	mu sync.Mutex // held while the reserve is made and removed
}

// reserveName is the file that holds the reserve.
const reserveName = "reserve"

// OpenSpace is the space of the stores in dir, with a reserve of so many bytes, at
// most a sixteenth of the file system. It makes dir, and does not make the reserve:
// call Restore.
func OpenSpace(dir string, reserve int64) (*Space, error) {
	s := &Space{dir: dir, size: reserve}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &cdp.Error{Op: "open journal space", Kind: cdp.Transient, Subject: dir, Cause: err}
	}
	st, err := s.stat()
	if err != nil {
		return nil, err
	}
	s.size = min(s.size, int64(st.Blocks)*st.Bsize/16)
	return s, nil
}

func (s *Space) stat() (unix.Statfs_t, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		return st, &cdp.Error{Op: "measure free space", Kind: cdp.Transient, Subject: s.dir, Cause: err}
	}
	return st, nil
}

// Free is how many bytes are left beside the reserve.
func (s *Space) Free() (int64, error) {
	st, err := s.stat()
	return int64(st.Bavail) * st.Bsize, err
}

// Taken is how many bytes the files of the stores take, and how many everything else
// on the file system takes, the reserve included. It looks at every file of a store.
func (s *Space) Taken() (stores, others int64, err error) {
	st, err := s.stat()
	if err != nil {
		return 0, 0, err
	}
	err = filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && (e.IsDir() || path == s.path()) {
			return nil // it was removed meanwhile
		}
		if err != nil {
			return err
		}
		f, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			stores += f.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return err
	})
	if err != nil {
		return 0, 0, &cdp.Error{Op: "measure journals", Kind: cdp.Transient, Subject: s.dir, Cause: err}
	}
	return stores, max(0, int64(st.Blocks-st.Bavail)*st.Bsize-stores), nil
}

func (s *Space) path() string { return filepath.Join(s.dir, reserveName) }

// ReserveUsed reports whether there are stores in dir and no reserve, as while a failover
// uses it.
func ReserveUsed(dir string) bool {
	if _, err := os.Stat(dir); err != nil {
		return false
	}
	_, err := os.Stat(filepath.Join(dir, reserveName))
	return errors.Is(err, fs.ErrNotExist)
}

// Use gives up the reserve if less than that is free without it. Where that fails
// there is less room, which whoever writes finds out.
func (s *Space) Use() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if free, err := s.Free(); err == nil && free < s.size {
		_ = os.Remove(s.path())
	}
}

// Restore makes the reserve if there is none and above bytes stay free beside it.
// Where that fails it is tried again by the next call.
func (s *Space) Restore(above int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st, err := os.Stat(s.path()); err == nil && st.Size() == s.size || s.size == 0 {
		return
	}
	if free, err := s.Free(); err != nil || free < above+s.size {
		return
	}
	f, err := os.OpenFile(s.path(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if unix.Fallocate(int(f.Fd()), 0, 0, s.size) != nil { // also where the file system cannot
		_ = os.Remove(s.path())
	}
}
