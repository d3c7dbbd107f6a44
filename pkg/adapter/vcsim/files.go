package vcsim

import (
	"os"
	"path/filepath"
	"slices"
)

// FlatPath is the local file with the content of the disk at a datastore path; of a
// snapshot's disk, the frozen content. Hooks may call it.
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

// Files lists the files of a datastore, relative to it, sorted.
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

// Frozen is how many frozen copies snapshots keep. If some remain at the end of a
// test, it has left snapshots.
func (s *Site) Frozen() int {
	l, _ := os.ReadDir(filepath.Join(s.cfg.Dir, "frozen"))
	return len(l)
}
