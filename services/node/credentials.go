package node

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/durable"
)

// credentials loads the users of both sites, and makes them the first time.
// With Open there are none.
func credentials(dir string, cfg Config) (map[cdp.Site]*bus.Credentials, error) {
	out := map[cdp.Site]*bus.Credentials{}
	if cfg.Open {
		return out, nil
	}
	unlock, err := lockFile(filepath.Join(dir, "lock"), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer unlock()
	for _, s := range []cdp.Site{cfg.Target.Name, cfg.Source.Name} {
		path := filepath.Join(dir, string(s), "credentials.json")
		c, err := bus.LoadCredentials(path)
		if cdp.Is(err, cdp.NotFound) {
			if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
				c = bus.NewCredentials(s)
				err = c.Save(path)
			}
		}
		if err != nil {
			return nil, cdp.Wrap(err, "prepare credentials", string(s))
		}
		out[s] = c
	}
	return out, nil
}

// linkKey is the link's identity: the seed for the source, which dials, and the
// public key for the target. The first start makes both.
type linkKey struct {
	Seed string `json:"seed,omitempty"`
	Key  string `json:"key,omitempty"`
}

// loadLinkKey reads a site's part of the link's identity, DIR/SITE/link.json.
func loadLinkKey(dir string, cfg Config, site cdp.Site) (k linkKey, err error) {
	unlock, err := lockFile(filepath.Join(dir, "lock"), unix.LOCK_EX)
	if err != nil {
		return k, err
	}
	defer unlock()
	path := filepath.Join(dir, string(site), "link.json")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		seed, key := bus.NewLinkKey()
		err = errors.Join(saveLinkKey(dir, cfg.Source.Name, linkKey{Seed: seed}), saveLinkKey(dir, cfg.Target.Name, linkKey{Key: key}))
		if err == nil {
			data, err = os.ReadFile(path)
		}
	}
	if err == nil {
		err = json.Unmarshal(data, &k)
	}
	if err != nil {
		return k, &cdp.Error{Op: "load link key", Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	return k, nil
}

func saveLinkKey(dir string, site cdp.Site, k linkKey) error {
	data, err := json.MarshalIndent(k, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, string(site)), 0o700)
	}
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, string(site), "link.json"), append(data, '\n'))
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
