package overlay

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
)

// count is how many writes an overlay has taken: a file of one number, which is written
// with each of them. It survives a kill of the process; a power loss may cost some.
type count struct {
	f *os.File
	n uint64
}

// openCount opens or makes the count in the file at path.
func openCount(path string) (*count, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	var b [8]byte
	if _, err := f.ReadAt(b[:], 0); err != nil && err != io.EOF {
		return nil, errors.Join(err, f.Close())
	}
	return &count{f, binary.LittleEndian.Uint64(b[:])}, nil
}

// add counts one more. The write that is counted was made, so a full disk is no reason
// to fail it.
func (c *count) add() {
	c.n++
	_, _ = c.f.WriteAt(binary.LittleEndian.AppendUint64(nil, c.n), 0)
}
