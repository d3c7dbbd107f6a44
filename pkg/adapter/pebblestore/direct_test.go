package pebblestore

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"tidemark.dev/pkg/seedtest"
)

// Whatever is written past the page cache, in pieces of any size, is in the file.
func TestADirectFileHoldsWhatWasWritten(t *testing.T) {
	seed := seedtest.Seed(t)
	dir := t.TempDir()
	if !probeDirect(dir) {
		t.Logf("%s cannot be written past the page cache: only the fallback is in use here", dir)
		return
	}
	chunks := newChunks()
	for i := range 40 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		path := filepath.Join(dir, "f")
		f, err := createDirect(path, chunks)
		if err != nil {
			t.Fatal(err)
		}
		var want []byte
		for range rng.IntN(60) {
			p := make([]byte, rng.IntN(1<<(8+rng.IntN(13))))
			for k := range p {
				p[k] = byte(rng.Uint32())
			}
			want = append(want, p...)
			if n, err := f.Write(p); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			at := 0
			for at < len(got) && at < len(want) && got[at] == want[at] {
				at++
			}
			t.Fatalf("file %d: %d bytes, want %d; they differ from %d on", i, len(got), len(want), at)
		}
	}
}
