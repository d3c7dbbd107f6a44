package node

import (
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
)

// credentials loads a site's users, and makes them the first time. With Open
// there are none.
func credentials(dir string, cfg Config, site cdp.Site) (*bus.Credentials, error) {
	if cfg.Open {
		return nil, nil
	}
	unlock, err := lockFile(filepath.Join(dir, "lock"), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer unlock()
	path := filepath.Join(dir, string(site), "credentials.json")
	c, err := bus.LoadCredentials(path)
	if cdp.Is(err, cdp.NotFound) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			c = bus.NewCredentials(site)
			err = c.Save(path)
		}
	}
	if err == nil && c.Complete() { // an older version knew fewer services
		err = c.Save(path)
	}
	return c, cdp.Wrap(err, "prepare credentials", string(site))
}

// lockDir takes a site's directory for this process, until unlock or its end.
func lockDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &cdp.Error{Op: "take directory", Kind: cdp.Invalid, Subject: dir, Cause: err}
	}
	return lockFile(filepath.Join(dir, "lock"), unix.LOCK_EX|unix.LOCK_NB)
}

// lockFile locks a file, made if need be, in the way of flock.
func lockFile(path string, how int) (unlock func(), err error) {
	const op = "take directory"
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		f.Close()
		kind := cdp.Internal
		if err == syscall.EWOULDBLOCK {
			kind = cdp.Conflict
		}
		e := &cdp.Error{Op: op, Kind: kind, Subject: filepath.Dir(path), Cause: err}
		return nil, e.WithHint("another `tidemark up` runs in it")
	}
	return func() { f.Close() }, nil
}
