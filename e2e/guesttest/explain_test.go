package guesttest

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/e2e/oracle"
)

const sector = guest.LogSectorBytes

// logged makes a write log of n writes; write i puts a sector of i+1 to sector
// i%32 of a disk of 64 that was empty.
func logged(t *testing.T, n int) (l *oracle.Log, base, dir string) {
	t.Helper()
	dir = t.TempDir()
	var b bytes.Buffer
	put := func(words ...uint64) {
		head := make([]byte, sector)
		for i, w := range words {
			binary.LittleEndian.PutUint64(head[8*i:], w)
		}
		b.Write(head)
	}
	put(0x6a736677736872, 1, uint64(n), sector)
	for i := range n {
		put(uint64(i%32), 1, 0, 0)
		b.Write(bytes.Repeat([]byte{byte(i + 1)}, sector))
	}
	base = filepath.Join(dir, "base")
	file := filepath.Join(dir, "log")
	for path, data := range map[string][]byte{file: b.Bytes(), base: make([]byte, 64*sector)} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := oracle.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, base, dir
}

// What is accepted, and above all what is not: without that the guests' verdicts
// would mean nothing.
func TestExplainKnowsStatesFromDamage(t *testing.T) {
	l, base, dir := logged(t, 200)
	for _, c := range []struct {
		name    string
		prefix  int
		drop    []int // of the prefix's writes, those that are missing
		spoil   bool
		want    State
		refused bool
	}{
		{name: "nothing written", prefix: 0, want: State{Prefix: 0, Entries: 200}},
		{name: "a prefix", prefix: 120, want: State{Prefix: 120, Entries: 200}},
		{name: "all", prefix: 200, want: State{Prefix: 200, Entries: 200}},
		{name: "two of the last writes overtaken", prefix: 120, drop: []int{115, 117}, want: State{Prefix: 115, Beyond: 5, Missing: 2, Entries: 200}},
		{name: "a write lost, and more than can have overtaken it", prefix: 120, drop: []int{102}, refused: true},
		{name: "a sector that nobody wrote", prefix: 120, spoil: true, refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			image := filepath.Join(dir, "image")
			if err := os.WriteFile(image, make([]byte, 64*sector), 0o600); err != nil {
				t.Fatal(err)
			}
			err := l.Replay(image, 0, c.prefix, func(i int, _ oracle.Entry) bool {
				for _, d := range c.drop {
					if d == i {
						return true
					}
				}
				return false
			})
			if err != nil {
				t.Fatal(err)
			}
			if c.spoil {
				f, err := os.OpenFile(image, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.WriteAt([]byte("damage"), 40*sector); err != nil {
					t.Fatal(err)
				}
				f.Close()
			}
			got, err := Explain(t.Context(), l, base, image, filepath.Join(dir, "scratch"))
			if c.refused != (err != nil) {
				t.Fatalf("%s, %v", got, err)
			}
			if err == nil && got != c.want {
				t.Fatalf("%+v, want %+v", got, c.want)
			}
		})
	}
}
