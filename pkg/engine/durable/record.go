package durable

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"

	"tidemark.dev/pkg/cdp"
)

// A record is a value in a small file: one line of JSON and one with its checksum
// (CRC-32C), and the same again in a copy beside it. So no damage of one file goes
// unnoticed, or costs the value. A file without a checksum is of an older version.

func copyOf(path string) string { return path + ".copy" }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sumLine(line []byte) string {
	return fmt.Sprintf("crc32c %08x\n", crc32.Checksum(line, castagnoli))
}

// WriteRecord replaces the record at path, as WriteFile does.
func WriteRecord(path string, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	data := append(line, sumLine(line)...)
	// The copy first: it is read only if the record exists, and is damaged.
	if err := WriteFile(copyOf(path), data); err != nil {
		return err
	}
	return WriteFile(path, data)
}

// ReadRecord reads the record at path, and mends it if only its copy is whole. fs.ErrNotExist: there is none. Corrupt: both
// the record and its copy are damaged.
func ReadRecord[T any](path string) (T, error) {
	v, err := readOne[T](path)
	if !cdp.Is(err, cdp.Corrupt) {
		return v, err
	}
	if v, second := readOne[T](copyOf(path)); second == nil {
		_ = WriteRecord(path, v) // else the next reader has the copy as well
		return v, nil
	}
	return v, err
}

func readOne[T any](path string) (v T, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return v, err
	}
	end := bytes.IndexByte(data, '\n') + 1
	if end == 0 {
		end = len(data)
	}
	line, sum := data[:end], string(data[end:])
	if sum != "" && sum != sumLine(line) {
		err = errors.New("its checksum does not match")
	} else {
		err = json.Unmarshal(line, &v)
	}
	if err != nil {
		var none T
		return none, &cdp.Error{Op: "read file", Kind: cdp.Corrupt, Subject: path, Cause: err}
	}
	return v, nil
}

// RemoveRecord removes the record at path, if there is one.
func RemoveRecord(path string) error {
	for _, p := range []string{path, copyOf(path)} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// SetAside moves a damaged file out of the way, so that its owner can go on without
// it, and returns where it is now.
func SetAside(path string) (string, error) {
	aside := path + ".damaged"
	return aside, os.Rename(path, aside)
}
