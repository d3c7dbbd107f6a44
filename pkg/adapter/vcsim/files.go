package vcsim

import (
	"os"
	"path/filepath"
	"slices"
)

// FlatPath is the local file with the bytes of the disk of this datastore path:
// of a snapshot's disk, the frozen ones. Hooks may call it.
func (s *Site) FlatPath(dsPath string) (string, error) {
	name := canonical(dsPath)
	s.mu.Lock()
	defer s.mu.Unlock()
	if im := s.images[name]; im != nil {
		return im.node(name).file, nil
	}
	file, err := s.local(name)
	if err != nil {
		return "", err
	}
	if _, err = os.Stat(file); err != nil {
		return "", err
	}
	return flatName(file), nil
}

// Files lists what is on a datastore, relative to it, sorted.
func (s *Site) Files(datastore string) []string {
	dir, err := s.datastoreDir(datastore)
	if err != nil {
		return nil
	}
	var names []string
	_ = filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			names = append(names, rel)
		}
		return nil
	})
	slices.Sort(names)
	return names
}

// Frozen is how many frozen copies snapshots keep. A test that ends with some
// has left snapshots behind.
func (s *Site) Frozen() int {
	l, _ := os.ReadDir(filepath.Join(s.cfg.Dir, "frozen"))
	return len(l)
}
