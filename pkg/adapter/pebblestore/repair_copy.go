package pebblestore

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tidemark.dev/pkg/cdp"
)

// copyStore makes a copy of a store that shares its tables, which never change.
func copyStore(from, to string) error {
	fail := func(err error) error {
		return &cdp.Error{Op: "copy store", Kind: cdp.Transient, Subject: from, Cause: err}
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return fail(err)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return fail(err)
	}
	for _, e := range entries {
		a, b := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if filepath.Ext(a) == ".sst" {
			err = os.Link(a, b)
		} else {
			err = copyFile(a, b)
		}
		if err != nil {
			return fail(err)
		}
	}
	return nil
}

func copyFile(from, to string) error {
	a, err := os.Open(from)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(b, a)
	if err == nil {
		err = b.Sync()
	}
	if e := b.Close(); err == nil {
		err = e
	}
	return err
}

// cutLogs ends the copy's logs before the first damage: what was written later rests on
// what is lost, and goes too.
func (r *repair) cutLogs() error {
	names, err := filepath.Glob(filepath.Join(r.copied(), "*.log"))
	if err != nil {
		return err
	}
	slices.Sort(names)
	for i, name := range names {
		m := walName.FindStringSubmatch(filepath.Base(name))
		if m == nil {
			continue
		}
		no, err := strconv.ParseUint(m[1], 10, 32)
		if err != nil {
			continue
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		at := firstBad(raw, walFormat{uint32(no)})
		if at < 0 {
			continue
		}
		r.logs, r.mends = true, true
		r.Found = append(r.Found, fmt.Sprintf("%s is damaged at byte %d: it and the %d logs after it end there", filepath.Base(name), at, len(names)-i-1))
		if err := os.Truncate(name, int64(at)); err != nil {
			return err
		}
		for _, later := range names[i+1:] {
			if err := os.Remove(later); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}

// opens is why a table cannot be opened, nil if it can.
func opens(path string) error {
	t, err := openTable(vfs.Default, path)
	if err != nil {
		return err
	}
	return t.Close()
}
