package durable

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"tidemark.dev/pkg/cdp"
)

type kept struct {
	Name string         `json:"name"`
	Port map[string]int `json:"port"`
}

// Whichever bit of a record is flipped, and wherever the file is cut, the value is
// read as it was written; if the copy is damaged as well, that is an error and never
// another value.
func TestADamagedRecordIsReadFromItsCopyOrRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	if _, err := ReadRecord[kept](path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	want := kept{"a", map[string]int{"web": 10809, "db": 10810}}
	if err := WriteRecord(path, want); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var damaged [][]byte
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			damaged = append(damaged, bad)
		}
		damaged = append(damaged, good[:i])
	}
	put := func(path string, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, bad := range damaged {
		put(path, bad)
		put(copyOf(path), good)
		if got, err := ReadRecord[kept](path); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("damage %d, %q: %+v %v", i, bad, got, err)
		}
		put(copyOf(path), bad)
		if got, err := ReadRecord[kept](path); err == nil && !reflect.DeepEqual(got, want) || err != nil && !cdp.Is(err, cdp.Corrupt) {
			t.Fatalf("damage %d of both, %q: %+v %v", i, bad, got, err)
		}
	}
	if err := RemoveRecord(path); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}
