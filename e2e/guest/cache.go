package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// CacheDir is where built images are kept: $TIDEMARK_CACHE, or tidemark/guest
// in the user's cache directory.
func CacheDir() (string, error) {
	if dir := os.Getenv("TIDEMARK_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("guest: no cache directory, set TIDEMARK_CACHE: %w", err)
	}
	return filepath.Join(dir, "tidemark", "guest"), nil
}

// cached returns the directory name below the cache, built by build if it is
// not there. A build happens in a temporary directory that gets its name in one
// rename, so what exists under the name is whole. One process builds at a time;
// the others wait until it has finished, or ctx ends.
func cached(ctx context.Context, name string, build func(dir string) error) (string, error) {
	root, err := CacheDir()
	if err != nil {
		return "", err
	}
	final := filepath.Join(root, name)
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", fmt.Errorf("guest: create cache: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(root, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	removeStale(root)
	work, err := os.MkdirTemp(root, "building-*")
	if err != nil {
		return "", fmt.Errorf("guest: create cache: %w", err)
	}
	defer os.RemoveAll(work)
	if err := build(work); err != nil {
		return "", fmt.Errorf("guest: build %s: %w", name, err)
	}
	if err := os.Chmod(work, 0o755); err != nil {
		return "", fmt.Errorf("guest: build %s: %w", name, err)
	}
	if err := os.Rename(work, final); err != nil {
		return "", fmt.Errorf("guest: build %s: %w", name, err)
	}
	return final, nil
}

// removeStale removes what killed builds left; the cache is locked, so nobody
// builds there.
func removeStale(root string) {
	stale, _ := filepath.Glob(filepath.Join(root, "building-*"))
	for _, dir := range stale {
		os.RemoveAll(dir) // what cannot be removed wastes room, and harms nothing
	}
}

// lock takes an exclusive advisory lock on path. The kernel drops it when the
// process ends, so a killed build blocks nobody.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("guest: lock cache: %w", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("guest: lock cache: %w", err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("guest: another process is building (%s is locked): %w", path, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}
