package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"tidemark.dev/pkg/adapter/pebblestore"
	"tidemark.dev/pkg/adapter/replica"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/vault"
)

// storage is one journal with its replica, without a service around it.
type storage struct {
	dir     string
	disks   []cdp.Disk
	db      *pebblestore.DB
	replica *replica.Disks
	vault   *vault.Group
}

// openStorage opens the journal of one disk below dir, making it if need be.
func openStorage(dir string, size int64) (*storage, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &storage{dir: dir, disks: []cdp.Disk{{ID: 0, Name: "disk", Size: size}}}
	var err error
	if s.db, err = pebblestore.Open(filepath.Join(dir, "db"), pebblestore.Options{}); err != nil {
		return nil, err
	}
	_, known, err := s.db.Known("bench")
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	fresh := !known
	if s.replica, err = replica.Open(s.disks, []string{s.image()}, fresh); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	g, err := s.db.Group("bench", s.disks)
	if err == nil {
		s.vault, err = vault.Open(context.Background(), s.disks, g, s.replica, vault.Config{})
	}
	if err != nil {
		return nil, errors.Join(err, s.replica.Close(), s.db.Close())
	}
	return s, nil
}

func (s *storage) image() string { return filepath.Join(s.dir, "disk.img") }

func (s *storage) close() error {
	return errors.Join(s.vault.Close(), s.replica.Close(), s.db.Close())
}

// batchBytes is services/journal's BatchBytes.
const batchBytes = 16 << 20

// take stores frames as the journal service's intake does: one goroutine admits
// and prepares, one commits.
func (s *storage) take(frames [][]byte) error {
	batches := make(chan *vault.Batch, 1)
	done := make(chan error, 1)
	go func() {
		var err error
		for b := range batches {
			if _, e := b.Commit(); err == nil {
				err = e
			}
		}
		done <- err
	}()
	err := s.prepare(frames, batches)
	close(batches)
	return errors.Join(err, <-done)
}

func (s *storage) prepare(frames [][]byte, out chan<- *vault.Batch) error {
	for len(frames) > 0 {
		var fs []frame.Frame
		size := 0
		for len(frames) > 0 && size < batchBytes {
			f, v, why, err := s.vault.Offer(frames[0])
			if err != nil {
				return err
			}
			if v != admission.Accept {
				return fmt.Errorf("frame %d: %v: %s", f.No, v, why)
			}
			fs, size, frames = append(fs, f), size+len(frames[0]), frames[1:]
		}
		b, err := s.vault.Prepare(fs)
		if err != nil {
			return err
		}
		out <- b
	}
	return nil
}
