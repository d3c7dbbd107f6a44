package oracle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// op is one entry of a synthetic log, in sectors of 512 bytes.
type op struct {
	sector, sectors int
	flags           Flags
	fill            byte
}

// encode writes a log by the format's document, independently of the reader.
// recorded is the super block's count, -1 for all.
func encode(t *testing.T, ops []op, recorded int) string {
	t.Helper()
	if recorded < 0 {
		recorded = len(ops)
	}
	var b bytes.Buffer
	sector := func(fields ...any) {
		before := b.Len()
		for _, f := range fields {
			binary.Write(&b, binary.LittleEndian, f)
		}
		b.Write(make([]byte, 512-(b.Len()-before)))
	}
	sector(uint64(magic), uint64(1), uint64(recorded), uint32(512))
	for _, o := range ops {
		name := []byte{}
		if o.flags&Mark != 0 {
			name = []byte("mark")
		}
		sector(uint64(o.sector), uint64(o.sectors), uint64(o.flags), uint64(len(name)), name)
		if o.flags&(Discard|Mark) == 0 {
			b.Write(bytes.Repeat([]byte{o.fill}, o.sectors*512))
		}
	}
	return save(t, b.Bytes())
}

func save(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string) *Log {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestOpenListsEntries(t *testing.T) {
	l := open(t, encode(t, []op{
		{sector: 4, sectors: 2, fill: 'a'},
		{flags: Flush},
		{flags: Mark},
		{sector: 8, sectors: 100, flags: Discard},
		{sector: 6, sectors: 1, flags: FUA, fill: 'b'},
	}, -1))
	want := []Entry{{Offset: 2048, Length: 1024}, {Flags: Flush}, {Flags: Mark}, {Offset: 4096, Length: 51200, Flags: Discard}, {Offset: 3072, Length: 512, Flags: FUA}}
	if len(l.Entries) != len(want) || l.Recorded != len(want) || l.Writes() != 2 {
		t.Fatalf("%d entries, %d recorded, %d writes", len(l.Entries), l.Recorded, l.Writes())
	}
	for i, e := range l.Entries {
		e.data = 0
		if e != want[i] {
			t.Errorf("entry %d: %+v, want %+v", i, e, want[i])
		}
	}
	sum, err := l.Sum(l.Entries[4])
	if err != nil || sum != sha256.Sum256(bytes.Repeat([]byte("b"), 512)) {
		t.Fatalf("sum %x, %v", sum, err)
	}
}

// QEMU counts entries in the super block at flushes only.
func TestOpenGoesBeyondTheSuperBlock(t *testing.T) {
	path := encode(t, []op{{sector: 1, sectors: 1, fill: 'a'}, {flags: Flush}, {sector: 2, sectors: 1, fill: 'b'}}, 2)
	if err := os.Truncate(path, 1<<30); err != nil { // the room QEMU gets for its log
		t.Fatal(err)
	}
	if l := open(t, path); len(l.Entries) != 3 || l.Recorded != 2 {
		t.Fatalf("%d entries, %d recorded", len(l.Entries), l.Recorded)
	}
}

func TestOpenRefusesDamage(t *testing.T) {
	whole, err := os.ReadFile(encode(t, []op{{sector: 1, sectors: 4, fill: 'a'}, {sector: 9, sectors: 4, fill: 'b'}}, -1))
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, to byte) []byte {
		b := bytes.Clone(whole)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"empty":                 nil,
		"never flushed":         make([]byte, 4096),
		"magic":                 change(0, 1),
		"version":               change(8, 2),
		"more than recorded":    change(16, 3),
		"absurd count":          change(23, 0x80),
		"odd sector size":       change(24, 7),
		"unknown flag":          change(512+16, 0x10),
		"length beyond the log": change(512+12, 1),
		"cut short":             whole[:len(whole)-1],
	} {
		if l, err := Open(save(t, b)); err == nil {
			t.Errorf("%s: accepted, %d entries", name, len(l.Entries))
		}
	}
	if _, err := Open(save(t, make([]byte, 4096))); !errors.Is(err, ErrNotLog) {
		t.Errorf("got %v, want ErrNotLog", err)
	}
}
