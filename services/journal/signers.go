package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/durable"
)

// signers are the keys that source sites are known to sign recovery points with, a file
// for each site in Config.Signers with one key a line. The first key that a site signs
// with is bound to it; every other is an operator's to add.
type signers struct {
	dir string
	mu  sync.Mutex
}

func (s *signers) path(site cdp.Site) string { return SignersFile(s.dir, site) }

// SignersFile is the file in dir with the keys of a source site.
func SignersFile(dir string, site cdp.Site) string { return filepath.Join(dir, string(site)+".keys") }

// ReadSigners are the keys of a source site in dir, none if it has not signed yet.
func ReadSigners(dir string, site cdp.Site) ([]frame.PublicKey, error) {
	const op = "read signing keys"
	path := SignersFile(dir, site)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err}
	}
	var keys []frame.PublicKey
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := frame.ParsePublicKey(line)
		if err != nil {
			return nil, cdp.Wrap(err, op, path)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// known reports whether a site has signed anything yet.
func (s *signers) known(site cdp.Site) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, err := ReadSigners(s.dir, site)
	return len(keys) > 0, err
}

// trusts reports whether a key is one of the site's. The first one becomes the site's.
func (s *signers) trusts(site cdp.Site, key frame.PublicKey) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, err := ReadSigners(s.dir, site)
	if err != nil || len(keys) > 0 {
		return slices.Contains(keys, key), err
	}
	if err = os.MkdirAll(s.dir, 0o700); err == nil {
		err = durable.WriteFile(s.path(site), []byte(key.String()+"\n"))
	}
	if err != nil {
		return false, &cdp.Error{Op: "bind signing key", Kind: cdp.Transient, Subject: s.path(site), Cause: err}
	}
	return true, nil
}
