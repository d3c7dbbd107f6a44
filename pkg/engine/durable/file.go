// Package durable replaces small files so that no crash, of the process or of
// the machine, leaves half a file or undoes a replacement that was reported.
//
// It never changes a file in place.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// WriteFile replaces a file as a whole or not at all; once it has returned, the new
// content is on the disk. Only the owner can read the file. The content is first
// written to path.new, so a file must have one writer at a time.
func WriteFile(path string, data []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = f.Chmod(0o600) // a crash may have left it
	if err == nil {
		_, err = f.Write(data)
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	dir, err := os.Open(filepath.Dir(path)) // makes the new name durable
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
